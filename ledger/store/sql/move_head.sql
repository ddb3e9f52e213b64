-- The head after a batch that was decided without its lock: only if it is still the one that the batch was decided on, and the
-- batch's instant lies within 5 s before the database's clock. Returns that clock; no row where the batch must not count.
--   $1 org text    $2 size bigint    $3 last_leaf bytea    $4 recorded_at timestamptz    $5 numbers json text
--   $6 size before bigint    $7 last_leaf before bytea    $8 projections before, json text    $9 fence before bigint
--   $10 the batch's instant timestamptz: recorded_at, but for a batch without events
UPDATE ledger_head
   SET size = $2::bigint, last_leaf = $3::bytea, recorded_at = $4::timestamptz, numbers = $5::jsonb
 WHERE org = $1::text AND size = $6::bigint AND last_leaf = $7::bytea AND projections = $8::jsonb AND fence = $9::bigint
   AND $10::timestamptz BETWEEN greatest(recorded_at, clock_timestamp() - interval '5 s') AND greatest(recorded_at, clock_timestamp())
RETURNING clock_timestamp() AS clock
