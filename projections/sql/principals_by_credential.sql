-- Whose credentials these are.
--   $1 org text    $2 credentials uuid[]
-- Returns id, principal_id.
SELECT id, principal_id
  FROM credential
 WHERE org = $1::text AND id = ANY ($2::uuid[]);
