-- The domains of an org: those that jobs are in, and those that principals are of or may see.
--   $1 org text
-- Returns domain. The domains of jobs are hopped through by their index, however many jobs there are.
WITH RECURSIVE live AS MATERIALIZED (
  SELECT (projections -> 'jobs' ->> 'gen')::integer AS jobs, (projections -> 'access' ->> 'gen')::integer AS access
    FROM ledger_head
   WHERE org = (SELECT $1::text)
), hop AS (
  (SELECT min(domain) AS domain FROM job_count WHERE org = (SELECT $1::text) AND gen = (SELECT jobs FROM live))
  UNION ALL
  SELECT (SELECT min(c.domain)
            FROM job_count AS c
           WHERE c.org = (SELECT $1::text) AND c.gen = (SELECT jobs FROM live) AND c.domain > hop.domain)
    FROM hop
   WHERE hop.domain IS NOT NULL
)
SELECT domain FROM hop WHERE domain IS NOT NULL
UNION
SELECT home_domain FROM principal WHERE org = (SELECT $1::text) AND gen = (SELECT access FROM live)
UNION
SELECT unnest(domains) FROM principal WHERE org = (SELECT $1::text) AND gen = (SELECT access FROM live);
