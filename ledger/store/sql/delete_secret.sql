-- Delete a secret.
--   $1 org text    $2 id uuid
DELETE FROM secret
 WHERE org = $1::text
   AND id = $2::uuid;
