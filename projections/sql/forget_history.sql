-- Remove what job_history tells of jobs whose contents leave the store, in all generations that there may be.
--   $1 org text    $2 gen integer, whichever    $3 ids integer[] as a literal
DELETE FROM job_history
 USING unnest($3::text::integer[]) AS r (id)
 WHERE job_history.org = $1::text
   AND job_history.gen = ANY (ARRAY(SELECT t.gen FROM tracking AS t WHERE t.org = $1::text AND t.projection = 'job_history'
                              UNION SELECT g.last FROM generation AS g WHERE g.org = $1::text
                              UNION SELECT $2::integer))
   AND job_history.id = r.id
