-- Remove the last heartbeats of an org's jobs that have ended or are gone, so many at a time.
--   $1 org text    $2 limit integer
-- Returns a row for each that was removed.
DELETE FROM heartbeat
 WHERE ctid = ANY (ARRAY(
         SELECT b.ctid
           FROM heartbeat AS b
          WHERE b.org = $1::text
            AND NOT EXISTS (
                  SELECT FROM job AS j
                   WHERE j.org = b.org
                     AND j.gen = (SELECT (projections -> 'jobs' ->> 'gen')::integer FROM ledger_head WHERE org = $1::text)
                     AND j.id = b.job_id
                     AND j.state IN ('SCHEDULED', 'RUNNING', 'STALE'))
          LIMIT $2::integer))
RETURNING 1;
