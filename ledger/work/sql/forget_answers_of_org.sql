-- Remove answers to an org's Idempotency-Keys that are older than 24 hours, so many at a time.
--   $1 org text    $2 limit integer
-- Returns a row for each that was removed.
DELETE FROM idempotency
 WHERE ctid = ANY (ARRAY(
         SELECT ctid
           FROM idempotency
          WHERE org = $1::text AND recorded_at < clock_timestamp() - interval '24 hours'
          LIMIT $2::integer))
RETURNING 1;
