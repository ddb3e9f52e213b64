-- Who can come in and manage principals.
--   $1 org text    $2 gen integer
-- Returns id. The column is told of those too who see some domains only; they manage nobody.
SELECT id
  FROM principal
 WHERE org = $1::text AND gen = $2::integer AND is_administrator AND domains IS NULL;
