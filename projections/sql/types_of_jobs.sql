-- The types of an org's jobs, hopped through by their index.
--   $1 org text    $2 domains text[] or null for all
-- Returns type.
WITH RECURSIVE live AS MATERIALIZED (
  SELECT (projections -> 'jobs' ->> 'gen')::integer AS gen FROM ledger_head WHERE org = (SELECT $1::text)
), hop AS (
  (SELECT type
     FROM job
    WHERE org = (SELECT $1::text) AND gen = (SELECT gen FROM live)
      AND ($2::text[] IS NULL OR domain = ANY ($2::text[]))
    ORDER BY type
    LIMIT 1)
  UNION ALL
  SELECT (SELECT j.type
            FROM job AS j
           WHERE j.org = (SELECT $1::text) AND j.gen = (SELECT gen FROM live) AND j.type > hop.type
             AND ($2::text[] IS NULL OR j.domain = ANY ($2::text[]))
           ORDER BY j.type
           LIMIT 1)
    FROM hop
   WHERE hop.type IS NOT NULL
)
SELECT type FROM hop WHERE type IS NOT NULL;
