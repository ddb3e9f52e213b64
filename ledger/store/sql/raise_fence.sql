-- From here no batch counts that was decided without the head's lock before. Under the lock, with what is decided in its place.
--   $1 org text
UPDATE ledger_head SET fence = fence + 1 WHERE org = $1::text;
