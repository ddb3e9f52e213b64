-- Every org and how far its ledger has come.
-- Returns org, size, recorded_at.
SELECT org, size, recorded_at
  FROM ledger_head
 WHERE size > 0
 ORDER BY org;
