-- One job.
--   $1 org text    $2 id integer    $3 domains text[] or null for all
-- Returns registration, course, decisions, private; no row where there is no such job in those domains.
SELECT registration, course, decisions, private
  FROM job
 WHERE org = (SELECT $1::text)
   AND gen = (SELECT (projections -> 'jobs' ->> 'gen')::integer FROM ledger_head WHERE org = (SELECT $1::text))
   AND id = $2::integer
   AND ($3::text[] IS NULL OR domain = ANY ($3::text[]));
