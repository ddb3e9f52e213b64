-- An org's head, unlocked.
--   $1 org text
-- Returns size, last_leaf, recorded_at, numbers, projections, fence; no row where there is no such org.
SELECT size, last_leaf, recorded_at, numbers::text, projections::text, fence
  FROM ledger_head
 WHERE org = (SELECT $1::text);
