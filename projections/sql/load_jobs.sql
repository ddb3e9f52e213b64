-- Jobs as their rows have them.
--   $1 org text    $2 gen integer    $3 ids integer[]
-- Returns id, version, registration, course, decisions, private, body_hash, final_at, imported.
SELECT id, version, registration, course, decisions, private, body_hash, final_at, imported
  FROM job
 WHERE org = (SELECT $1::text) AND gen = $2::integer AND id = ANY ($3::integer[]);
