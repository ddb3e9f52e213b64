-- Some of the jobs on a copy, in the order in which they begin. Planned anew for each request, as list_jobs.
--   $1 org text    $2 copy id integer    $3 limit integer    $4/$5 after the job that begins then timestamptz, of that id integer
--   $6 domains text[]    $7/$8 begins_at from/to timestamptz    $9 states text[]    $10 is deleted boolean    $11 levels text[]
--   $12 client ids integer[]
-- Each from $4 on may be null. From is included, to is not.
-- Returns begins_at, id, version, registration, course, decisions, private, body_hash, final_at, imported.
SELECT found.begins_at, job.*
  FROM (SELECT job_id, begins_at
          FROM job_copy
         WHERE org = (SELECT $1::text)
           AND gen = (SELECT (projections -> 'job_copies' ->> 'gen')::integer FROM ledger_head WHERE org = (SELECT $1::text))
           AND copy_id = (SELECT $2::integer)
           AND ($4::timestamptz IS NULL OR (begins_at, job_id) > ($4::timestamptz, $5::integer))
           AND ($6::text[] IS NULL OR domain = ANY ($6::text[]))
           AND ($7::timestamptz IS NULL OR begins_at >= $7::timestamptz)
           AND ($8::timestamptz IS NULL OR begins_at < $8::timestamptz)
           AND ($9::text[] IS NULL OR state = ANY ($9::text[]))
           AND ($10::boolean IS NULL OR is_deleted = $10::boolean)
           AND ($11::text[] IS NULL OR level = ANY ($11::text[]))
           AND ($12::integer[] IS NULL OR client_id = ANY ($12::integer[]))
         ORDER BY begins_at, job_id
         LIMIT $3::integer) AS found
 CROSS JOIN LATERAL (
       SELECT id, version, registration, course, decisions, private, body_hash, final_at, imported
         FROM job
        WHERE org = (SELECT $1::text)
          AND gen = (SELECT (projections -> 'jobs' ->> 'gen')::integer FROM ledger_head WHERE org = (SELECT $1::text))
          AND id = found.job_id
       OFFSET 0) AS job
 ORDER BY found.begins_at, job.id;
