-- By how many the jobs of a state, a day, a domain and a block of ids became more or fewer. A row may come to 0 and stay.
--   $1 org text    $2 gen integer    $3 states text[], $4 days date[], each as a literal    $5 domains text[]
--   $6 blocks integer[], $7 numbers integer[], each as a literal
INSERT INTO job_count
       (org, gen, state, day, domain, block, jobs)
SELECT $1::text, $2::integer, state, day, domain, block, jobs
  FROM unnest($3::text::text[], $4::text::date[], $5::text[], $6::text::integer[], $7::text::integer[])
    AS moved (state, day, domain, block, jobs)
    ON CONFLICT ON CONSTRAINT job_count_pkey DO UPDATE SET jobs = job_count.jobs + excluded.jobs
