-- Archives as their rows have them.
--   $1 org text    $2 gen integer    $3 ids integer[]
-- Returns id, version, requested_at, requested_by, told, verified_at, completed_at, deleted_at.
SELECT id, version, requested_at, requested_by, told, verified_at, completed_at, deleted_at
  FROM archive
 WHERE org = (SELECT $1::text) AND gen = $2::integer AND id = ANY ($3::integer[]);
