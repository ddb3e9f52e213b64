-- By how many the jobs of a day, a domain and a block of ids became more or fewer. A row may come to 0 and stay.
--   $1 org text    $2 gen integer    $3 days date[] as a literal    $4 domains text[]
--   $5 blocks integer[], $6 numbers integer[], each as a literal
INSERT INTO job_count
       (org, gen, day, domain, block, jobs)
SELECT $1::text, $2::integer, day, domain, block, jobs
  FROM unnest($3::text::date[], $4::text[], $5::text::integer[], $6::text::integer[]) AS moved (day, domain, block, jobs)
    ON CONFLICT ON CONSTRAINT job_count_pkey DO UPDATE SET jobs = job_count.jobs + excluded.jobs
