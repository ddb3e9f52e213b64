-- Remove answers to Idempotency-Keys that are older than 24 hours, so many at a time.
--   $1 limit integer
-- Returns a row for each that was removed.
DELETE FROM idempotency
 WHERE ctid = ANY (ARRAY(
         SELECT ctid FROM idempotency WHERE recorded_at < clock_timestamp() - interval '24 hours' LIMIT $1::integer))
RETURNING 1;
