-- The last erasure of some jobs after which nothing private was recorded of them.
--   $1 org text    $2 job ids integer[]
-- Returns job_id, version (the job's newest), reason.
-- LATERAL with OFFSET 0: one lookup for each, whatever the planner knows of the tables.
SELECT u.id AS job_id, erased.newest AS version, convert_from(c.body, 'UTF8')::json -> 'data' ->> 'reason' AS reason
  FROM unnest($2::integer[]) AS u (id)
 CROSS JOIN LATERAL (
       SELECT e.position, e.version, max(e.version) OVER () AS newest, e.type
         FROM event AS e
        WHERE e.org = (SELECT $1::text) AND e.stream = 'job-' || u.id
        ORDER BY e.type = 'job.erased' DESC, e.version DESC
        LIMIT 1) AS erased
 CROSS JOIN LATERAL (
       SELECT body FROM content WHERE org = $1::text AND position = erased.position OFFSET 0) AS c
 WHERE erased.type = 'job.erased'
   AND NOT EXISTS (
       SELECT FROM event AS e
        WHERE e.org = $1::text AND e.stream = 'job-' || u.id AND e.version > erased.version
          AND EXISTS (
              SELECT FROM content AS p WHERE p.org = $1::text AND p.position = e.position AND p.private IS NOT NULL OFFSET 0)
       OFFSET 0);
