-- Remove what job_snapshot tells of jobs whose contents leave the store, in all generations that there may be.
--   $1 org text    $2 gen integer, whichever    $3 ids integer[] as a literal
-- By one look-up a job: joined to the ids, the whole table would be gone through for each batch of a purge.
DELETE FROM job_snapshot
 WHERE org = $1::text
   AND gen = ANY (ARRAY(SELECT t.gen FROM tracking AS t WHERE t.org = $1::text AND t.projection = 'job_history'
                  UNION SELECT g.last FROM generation AS g WHERE g.org = $1::text
                  UNION SELECT $2::integer))
   AND id = ANY ($3::text::integer[])
