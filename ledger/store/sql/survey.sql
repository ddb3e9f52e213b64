-- How the database stands, in one look.
-- Returns clock, applied (text[] of name and checksum), folds (text[] of heads' projections, each once), event_count, and lags: of
-- each projection that follows ledgers, json text {"name": [most events that one is behind, most seconds that one has not moved]}.
SELECT clock_timestamp() AS clock,
       ARRAY(SELECT name || ' ' || checksum FROM schema_migration) AS applied,
       ARRAY(SELECT DISTINCT projections::text FROM ledger_head) AS folds,
       (SELECT coalesce(sum(size), 0)::bigint FROM ledger_head) AS event_count,
       (SELECT json_object_agg(projection, json_build_array(events, seconds))
          FROM (SELECT t.projection, max(h.size - t.position) AS events,
                       max(CASE WHEN h.size > t.position THEN
                             extract(epoch FROM clock_timestamp() - greatest(t.moved_at,
                               (SELECT recorded_at FROM event WHERE org = t.org AND position = t.position)))
                           ELSE 0 END) AS seconds
                  FROM tracking AS t
                  JOIN ledger_head AS h ON h.org = t.org AND (h.projections -> t.projection ->> 'gen')::integer = t.gen
                 GROUP BY t.projection) AS lag)::text AS lags;
