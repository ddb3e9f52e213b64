-- Whole jobs, each after one of its events.
--   $1 org text    $2 gen integer    $3 ids integer[], $4 versions integer[], $5 positions bigint[]
--   $6 whether there was anything private boolean[], each as a literal    $7 jobs json text[]
INSERT INTO job_snapshot (org, gen, id, version, position, has_private, job)
SELECT $1::text, $2::integer, id, version, position, has_private, job
  FROM unnest($3::text::integer[], $4::text::integer[], $5::text::bigint[], $6::text::boolean[], $7::text[])
    AS r (id, version, position, has_private, job)
