-- An org's head, locked: from here to the end of the transaction nobody else appends to this org.
--   $1 org text
-- Returns size, last_leaf, recorded_at, numbers, projections, fence and the database's clock; no row where there is no such org.
SELECT size, last_leaf, recorded_at, numbers::text, projections::text, fence, clock_timestamp() AS clock
  FROM ledger_head
 WHERE org = $1::text
   FOR NO KEY UPDATE;
