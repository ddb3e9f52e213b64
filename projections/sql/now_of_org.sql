-- What time it is by an org's ledger: the later of the database's clock and when the last event was recorded.
--   $1 org text
-- Returns now.
SELECT greatest(recorded_at, clock_timestamp()) AS now
  FROM ledger_head
 WHERE org = (SELECT $1::text);
