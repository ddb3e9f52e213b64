-- Principals by name.
--   $1 org text    $2 gen integer    $3 names text[]
-- Returns name, id.
SELECT name, id
  FROM principal
 WHERE org = $1::text AND gen = $2::integer AND name = ANY ($3::text[]);
