-- The head after a batch, or a part of one, written under its lock.
--   $1 org text    $2 size bigint    $3 last_leaf bytea    $4 recorded_at timestamptz    $5 numbers json text
UPDATE ledger_head
   SET size = $2::bigint, last_leaf = $3::bytea, recorded_at = $4::timestamptz, numbers = $5::jsonb
 WHERE org = $1::text
