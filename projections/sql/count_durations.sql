-- Add jobs that ended to the histograms of their groups, each bucket once.
--   $1 org text    $2 gen integer    $3 days date[] as a literal    $4 types text[]    $5 domains text[]    $6 states text[]
--   $7 buckets integer[], $8 jobs bigint[]; from $6 on each as a literal
INSERT INTO rollup_duration (org, gen, day, type, domain, state, bucket, jobs)
SELECT $1::text, $2::integer, day, type, domain, state, bucket, jobs
  FROM unnest($3::text::date[], $4::text[], $5::text[], $6::text::text[], $7::text::integer[], $8::text::bigint[])
    AS r (day, type, domain, state, bucket, jobs)
    ON CONFLICT ON CONSTRAINT rollup_duration_pkey
    DO UPDATE SET jobs = rollup_duration.jobs + EXCLUDED.jobs
