-- Of which type and domain jobs are, or were that are gone.
--   $1 org text    $2 ids integer[]
-- Returns id, type, domain.
SELECT id, type, domain
  FROM job
 WHERE org = (SELECT $1::text)
   AND gen = (SELECT (projections -> 'jobs' ->> 'gen')::integer FROM ledger_head WHERE org = (SELECT $1::text))
   AND id = ANY ($2::integer[])
 UNION ALL
SELECT id, residue::jsonb ->> 'type', domain
  FROM job_residue
 WHERE org = (SELECT $1::text)
   AND gen = (SELECT (projections -> 'jobs' ->> 'gen')::integer FROM ledger_head WHERE org = (SELECT $1::text))
   AND id = ANY ($2::integer[]);
