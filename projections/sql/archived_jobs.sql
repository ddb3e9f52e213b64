-- A page of the jobs that an archive holds, by id. Planned anew for each request, as list_jobs is.
--   $1 org text    $2 archive id integer    $3 after id integer    $4 limit integer    $5 states text[]    $6 type text    $7 domain text
--   $8/$9 scheduled_at from/to timestamptz    $10/$11 started_at from/to    $12/$13 ended_at from/to    $14 purged boolean
-- Each but the first four may be null. From is included, to is not.
-- Returns job_id, held_version, type, domain, state, registered_at, scheduled_at, started_at, ended_at, gone, is_purged, places.
SELECT job_id, held_version, type, domain, state, registered_at, scheduled_at, started_at, ended_at, gone, is_purged, places
  FROM archived_job
 WHERE org = (SELECT $1::text)
   AND gen = (SELECT (projections -> 'archived_jobs' ->> 'gen')::integer FROM ledger_head WHERE org = (SELECT $1::text))
   AND archive_id = $2::integer
   AND job_id > $3::integer
   AND ($5::text[] IS NULL OR state = ANY ($5::text[]))
   AND ($6::text IS NULL OR type = $6::text)
   AND ($7::text IS NULL OR domain = $7::text)
   AND ($8::timestamptz IS NULL OR scheduled_at >= $8::timestamptz)
   AND ($9::timestamptz IS NULL OR scheduled_at < $9::timestamptz)
   AND ($10::timestamptz IS NULL OR started_at >= $10::timestamptz)
   AND ($11::timestamptz IS NULL OR started_at < $11::timestamptz)
   AND ($12::timestamptz IS NULL OR ended_at >= $12::timestamptz)
   AND ($13::timestamptz IS NULL OR ended_at < $13::timestamptz)
   AND ($14::boolean IS NULL OR is_purged = $14::boolean)
 ORDER BY job_id
 LIMIT $4::integer;
