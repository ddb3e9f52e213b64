-- The last job of a type, one that runs before one that does not; looked for among the last thousand of it.
--   $1 org text    $2 type text
-- Returns decisions, private, registration, course.
SELECT n.decisions, n.private, n.registration, n.course
  FROM (SELECT j.id, j.state, j.decisions, j.private, j.registration, j.course
          FROM job AS j
         WHERE j.org = (SELECT $1::text)
           AND j.gen = (SELECT (projections -> 'jobs' ->> 'gen')::integer FROM ledger_head WHERE org = (SELECT $1::text))
           AND j.type = $2::text
         ORDER BY j.id DESC
         LIMIT 1000) AS n
 ORDER BY (n.state IN ('RUNNING', 'STALE')) DESC, n.id DESC
 LIMIT 1;
