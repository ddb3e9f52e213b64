-- Tell every process that listens how far some orgs' ledgers have come.
--   $1 payloads text[], each an org and the size of its ledger with a space between
SELECT pg_notify('jobledger_appended', payload)
  FROM unnest($1::text[]) AS payload;
