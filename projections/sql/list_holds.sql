-- Holds of an org by id.
--   $1 org text    $2 after what id bigint    $3 at most integer    $4 id integer or null    $5 active boolean or null
-- Returns id, version, name, reason, placed_at, released_at, release_reason, filter, job_count; job_ids only where $4 is given.
SELECT id, version, name, reason, placed_at, released_at, release_reason, filter, cardinality(job_ids) AS job_count,
       CASE WHEN $4::integer IS NOT NULL THEN job_ids END AS job_ids
  FROM hold
 WHERE org = (SELECT $1::text)
   AND gen = (SELECT (projections -> 'holds' ->> 'gen')::integer FROM ledger_head WHERE org = (SELECT $1::text))
   AND id > $2::bigint
   AND ($4::integer IS NULL OR id = $4::integer)
   AND ($5::boolean IS NULL OR (released_at IS NULL) = $5::boolean)
 ORDER BY id
 LIMIT $3::integer;
