-- Write a checkpoint.
--   $1 org text    $2 fork integer    $3 size bigint    $4 root bytea    $5 note bytea
INSERT INTO checkpoint (org, fork, size, root, note)
VALUES ($1::text, $2::integer, $3::bigint, $4::bytea, $5::bytea);
