-- The active holds over filters of an org.
--   $1 org text
-- Returns id.
SELECT id
  FROM hold
 WHERE org = (SELECT $1::text)
   AND gen = (SELECT (projections -> 'holds' ->> 'gen')::integer FROM ledger_head WHERE org = (SELECT $1::text))
   AND filter IS NOT NULL
   AND released_at IS NULL
 ORDER BY org, gen, id;
