-- Write a checkpoint.
--   $1 org text    $2 fork integer    $3 size bigint    $4 root bytea    $5 note bytea    $6 public key bytea
INSERT INTO checkpoint (org, fork, size, root, note, public_key)
VALUES ($1::text, $2::integer, $3::bigint, $4::bytea, $5::bytea, $6::bytea);
