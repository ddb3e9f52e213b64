-- How far some orgs' ledgers have come.
--   $1 orgs text[]
-- Returns org, size; no row for an org that is not there.
SELECT org, size
  FROM ledger_head
 WHERE org = ANY ($1::text[]);
