-- Drop what is known of jobs on copies: of jobs that are gone. Each is looked up by its key, as in remove_jobs.
--   $1 org text    $2 gen integer    $3 copy ids integer[], $4 job ids integer[], each as a literal
DELETE FROM job_copy
 USING (SELECT (SELECT c.ctid
                  FROM job_copy AS c
                 WHERE c.org = $1::text AND c.gen = $2::integer AND c.copy_id = u.copy_id AND c.job_id = u.job_id) AS place
          FROM unnest($3::text::integer[], $4::text::integer[]) AS u (copy_id, job_id)) AS r
 WHERE job_copy.ctid = r.place
