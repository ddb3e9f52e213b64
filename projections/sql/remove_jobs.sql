-- Rows of jobs that are gone. Each is looked up by its key, as in update_jobs.
--   $1 org text    $2 gen integer    $3 ids integer[] as a literal
DELETE FROM job
 USING (SELECT (SELECT j.ctid FROM job AS j WHERE j.org = $1::text AND j.gen = $2::integer AND j.id = u.id) AS place
          FROM unnest($3::text::integer[]) AS u (id)) AS r
 WHERE job.ctid = r.place
