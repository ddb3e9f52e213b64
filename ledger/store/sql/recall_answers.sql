-- The answers given to some Idempotency-Keys in the last 24 hours.
--   $1 org text    $2 now timestamptz    $3 principals text[]    $4 keys text[]
-- Returns principal, key, request_hash, answer.
-- LATERAL with OFFSET 0 keeps the order: one lookup for each, also where the planner knows nothing yet of the table.
SELECT asked.principal, asked.key, i.request_hash, i.answer
  FROM unnest($3::text[], $4::text[]) AS asked (principal, key)
 CROSS JOIN LATERAL (
       SELECT request_hash, answer
         FROM idempotency
        WHERE org = (SELECT $1::text) AND principal = asked.principal AND key = asked.key
          AND recorded_at > $2::timestamptz - interval '24 hours'
       OFFSET 0) AS i;
