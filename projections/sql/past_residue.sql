-- What is left of a job whose contents have left the store.
--   $1 org text    $2 id integer    $3 domains text[] or null for all
-- Returns gone, gone_at, residue.
SELECT gone, gone_at, residue
  FROM job_residue
 WHERE org = (SELECT $1::text)
   AND gen = (SELECT (projections -> 'jobs' ->> 'gen')::integer FROM ledger_head WHERE org = (SELECT $1::text))
   AND id = $2::integer
   AND ($3::text[] IS NULL OR domain = ANY ($3::text[]));
