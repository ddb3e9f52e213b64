-- Remove what job_snapshot tells of jobs whose contents leave the store, in all generations that there may be.
--   $1 org text    $2 gen integer, whichever    $3 ids integer[] as a literal
DELETE FROM job_snapshot
 USING unnest($3::text::integer[]) AS r (id)
 WHERE job_snapshot.org = $1::text
   AND job_snapshot.gen = ANY (ARRAY(SELECT t.gen FROM tracking AS t WHERE t.org = $1::text AND t.projection = 'job_history'
                              UNION SELECT g.last FROM generation AS g WHERE g.org = $1::text
                              UNION SELECT $2::integer))
   AND job_snapshot.id = r.id
