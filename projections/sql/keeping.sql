-- What is said in an org of how long jobs are kept.
--   $1 org text
-- Returns policy text, filter_holds json text or null for none, now timestamptz; no row where there is no such org.
SELECT (SELECT policy
          FROM org_policy
         WHERE org = (SELECT $1::text) AND gen = (h.projections -> 'policy' ->> 'gen')::integer) AS policy,
       (SELECT json_agg(json_build_object('id', id, 'name', name, 'filter', filter::json) ORDER BY id)
          FROM hold
         WHERE org = (SELECT $1::text) AND gen = (h.projections -> 'holds' ->> 'gen')::integer
           AND filter IS NOT NULL AND released_at IS NULL)::text AS filter_holds,
       greatest(h.recorded_at, clock_timestamp()) AS now
  FROM ledger_head AS h
 WHERE h.org = (SELECT $1::text);
