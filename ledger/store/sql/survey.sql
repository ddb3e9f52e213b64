-- How the database stands, in one look.
-- Returns clock, applied (text[] of name and checksum), folds (text[] of heads' projections, each once), event_count.
SELECT clock_timestamp() AS clock,
       ARRAY(SELECT name || ' ' || checksum FROM schema_migration) AS applied,
       ARRAY(SELECT DISTINCT projections::text FROM ledger_head) AS folds,
       (SELECT coalesce(sum(size), 0)::bigint FROM ledger_head) AS event_count;
