-- Diagrams as their rows have them.
--   $1 org text    $2 gen integer    $3 ids integer[]
-- Returns id, version, name, description, active, is_deleted, created_at, updated_at.
SELECT id, version, name, description, active, is_deleted, created_at, updated_at
  FROM diagram
 WHERE org = $1::text AND gen = $2::integer AND id = ANY ($3::integer[]);
