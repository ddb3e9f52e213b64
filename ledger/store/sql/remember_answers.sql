-- Answers to Idempotency-Keys that are taken to be new: idempotency_pkey says if one is not.
--   $1 org text    $2 recorded_at timestamptz
--   $3 principals text[]    $4 keys text[]    $5 request hashes bytea[]    $6 answers bytea[]
INSERT INTO idempotency (org, principal, key, request_hash, answer, recorded_at)
SELECT $1::text, principal, key, request_hash, answer, $2::timestamptz
  FROM unnest($3::text[], $4::text[], $5::bytea[], $6::bytea[]) AS a (principal, key, request_hash, answer)
