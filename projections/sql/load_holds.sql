-- Holds as their rows have them.
--   $1 org text    $2 gen integer    $3 ids integer[]
-- Returns id, version, name, reason, placed_at, released_at, release_reason, job_ids, filter.
SELECT id, version, name, reason, placed_at, released_at, release_reason, job_ids, filter
  FROM hold
 WHERE org = (SELECT $1::text) AND gen = $2::integer AND id = ANY ($3::integer[]);
