-- Keep a secret.
--   $1 org text    $2 id uuid    $3 purpose text    $4 key id bytea    $5 nonce bytea    $6 ciphertext bytea
INSERT INTO secret (org, id, purpose, key_id, nonce, ciphertext)
VALUES ($1::text, $2::uuid, $3::text, $4::bytea, $5::bytea, $6::bytea);
