-- What is live from here on: the generation and fold version of each projection. Under the head's lock.
--   $1 org text    $2 projections json text
UPDATE ledger_head SET projections = $2::jsonb WHERE org = $1::text;
