-- Answers to Idempotency-Keys. A key whose answer is older than 24 hours counts as new; one whose answer is not is left alone.
--   $1 org text    $2 recorded_at timestamptz
--   $3 principals text[]    $4 keys text[]    $5 request hashes bytea[]    $6 answers bytea[]
-- Returns a row for each that was remembered: one too few tells that a key had been answered before.
INSERT INTO idempotency AS earlier (org, principal, key, request_hash, answer, recorded_at)
SELECT $1::text, principal, key, request_hash, answer, $2::timestamptz
  FROM unnest($3::text[], $4::text[], $5::bytea[], $6::bytea[]) AS a (principal, key, request_hash, answer)
    ON CONFLICT (org, principal, key)
    DO UPDATE SET request_hash = EXCLUDED.request_hash, answer = EXCLUDED.answer, recorded_at = EXCLUDED.recorded_at
       WHERE earlier.recorded_at <= $2::timestamptz - interval '24 hours'
RETURNING 1
