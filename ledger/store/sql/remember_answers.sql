-- Answers to Idempotency-Keys that are taken to be new: idempotency_pkey says if one is not.
--   $1 org text    $2 recorded_at timestamptz
--   $3 principals text[]    $4 keys text[]    $5 request hashes bytea, packed: $6 starts, $7 lengths
--   $8 answers bytea, packed: $9 starts, $10 lengths
INSERT INTO idempotency (org, principal, key, request_hash, answer, recorded_at)
SELECT $1::text, principal, key, substr($5::bytea, hash_start, hash_length), substr($8::bytea, start, length), $2::timestamptz
  FROM unnest($3::text[], $4::text[], $6::text::integer[], $7::text::integer[], $9::text::integer[], $10::text::integer[])
    AS a (principal, key, hash_start, hash_length, start, length)
