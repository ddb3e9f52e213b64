-- Attach to an org's checkpoints alone, until the end of the transaction.
--   $1 org text
SELECT pg_advisory_xact_lock(1785684844, hashtext($1::text));
