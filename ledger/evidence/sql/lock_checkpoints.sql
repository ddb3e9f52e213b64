-- Sign alone: whether nobody else does so for this org, until the end of the transaction.
--   $1 org text
SELECT pg_try_advisory_xact_lock(1785684843, hashtext($1::text));
