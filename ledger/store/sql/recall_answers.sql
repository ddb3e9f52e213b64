-- The answers given to some Idempotency-Keys in the last 24 hours.
--   $1 org text    $2 now timestamptz    $3 principals text[]    $4 keys text[]
-- Returns principal, key, request_hash, answer.
SELECT i.principal, i.key, i.request_hash, i.answer
  FROM unnest($3::text[], $4::text[]) AS asked (principal, key)
  JOIN idempotency AS i
    ON i.org = $1::text AND i.principal = asked.principal AND i.key = asked.key
 WHERE i.recorded_at > $2::timestamptz - interval '24 hours';
