-- Answers to Idempotency-Keys that were looked up: one that is there all the same is older than 24 hours and counts as new.
--   $1 org text    $2 recorded_at timestamptz
--   $3 principals text[]    $4 keys text[]    $5 request hashes bytea[]    $6 answers bytea[]
INSERT INTO idempotency (org, principal, key, request_hash, answer, recorded_at)
SELECT $1::text, principal, key, request_hash, answer, $2::timestamptz
  FROM unnest($3::text[], $4::text[], $5::bytea[], $6::bytea[]) AS a (principal, key, request_hash, answer)
    ON CONFLICT (org, principal, key)
    DO UPDATE SET request_hash = EXCLUDED.request_hash, answer = EXCLUDED.answer, recorded_at = EXCLUDED.recorded_at
