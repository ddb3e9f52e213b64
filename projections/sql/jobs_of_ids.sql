-- Jobs by their ids.
--   $1 org text    $2 ids integer[]    $3 domains text[] or null for all
-- Returns id, version, registration, course, decisions, private, body_hash, final_at, imported.
SELECT id, version, registration, course, decisions, private, body_hash, final_at, imported
  FROM job
 WHERE org = (SELECT $1::text)
   AND gen = (SELECT (projections -> 'jobs' ->> 'gen')::integer FROM ledger_head WHERE org = (SELECT $1::text))
   AND id = ANY ($2::integer[])
   AND ($3::text[] IS NULL OR domain = ANY ($3::text[]));
