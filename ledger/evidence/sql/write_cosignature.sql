-- Attach a cosignature.
--   $1 org text    $2 fork integer    $3 size bigint    $4 number integer    $5 verifier key text    $6 line text    $7 by text
INSERT INTO cosignature (org, fork, size, number, verifier_key, line, attached_by)
VALUES ($1::text, $2::integer, $3::bigint, $4::integer, $5::text, $6::text, $7::text);
