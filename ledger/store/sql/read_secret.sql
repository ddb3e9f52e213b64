-- A secret.
--   $1 org text    $2 id uuid
-- Returns purpose, key_id, nonce, ciphertext; no row where it is not there.
SELECT purpose, key_id, nonce, ciphertext
  FROM secret
 WHERE org = $1::text
   AND id = $2::uuid;
