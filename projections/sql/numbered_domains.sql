-- The domains of an org that jobs were ever registered in, but Global, by first use.
--   $1 org text
-- Returns name.
SELECT name
  FROM job_domain
 WHERE org = (SELECT $1::text)
   AND gen = (SELECT (projections -> 'domains' ->> 'gen')::integer FROM ledger_head WHERE org = (SELECT $1::text))
 ORDER BY first_at, first_id, name;
