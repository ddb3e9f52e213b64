-- Drop what is known of jobs on copies: of jobs that are gone.
--   $1 org text    $2 gen integer    $3 copy ids integer[], $4 job ids integer[], each as a literal
DELETE FROM job_copy
 USING unnest($3::text::integer[], $4::text::integer[]) AS r (copy_id, job_id)
 WHERE job_copy.org = $1::text AND job_copy.gen = $2::integer AND job_copy.copy_id = r.copy_id AND job_copy.job_id = r.job_id
