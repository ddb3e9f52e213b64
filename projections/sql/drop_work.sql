-- Drop what is known of jobs that the ledger has to do no more. Each is looked up by its key, as in remove_jobs.
--   $1 org text    $2 gen integer    $3 ids integer[] as a literal
DELETE FROM job_work
 USING (SELECT (SELECT w.ctid FROM job_work AS w WHERE w.org = $1::text AND w.gen = $2::integer AND w.id = u.id) AS place
          FROM unnest($3::text::integer[]) AS u (id)) AS r
 WHERE job_work.ctid = r.place
