-- Add jobs that ended to the rows of their groups, each group once.
--   $1 org text    $2 gen integer    $3 days date[] as a literal    $4 types text[]    $5 domains text[]    $6 states text[]
--   $7 jobs bigint[], $8 timed jobs bigint[], $9 durations in ms numeric[], $10 bytes numeric[]; from $6 on each as a literal
INSERT INTO rollup (org, gen, day, type, domain, state, jobs, timed_jobs, duration_ms, bytes)
SELECT $1::text, $2::integer, day, type, domain, state, jobs, timed_jobs, duration_ms, bytes
  FROM unnest($3::text::date[], $4::text[], $5::text[], $6::text::text[], $7::text::bigint[], $8::text::bigint[],
              $9::text::numeric[], $10::text::numeric[])
    AS r (day, type, domain, state, jobs, timed_jobs, duration_ms, bytes)
    ON CONFLICT ON CONSTRAINT rollup_pkey
    DO UPDATE SET jobs = rollup.jobs + EXCLUDED.jobs, timed_jobs = rollup.timed_jobs + EXCLUDED.timed_jobs,
                  duration_ms = rollup.duration_ms + EXCLUDED.duration_ms, bytes = rollup.bytes + EXCLUDED.bytes
