-- Which jobs the jobs of a batch require.
--   $1 org text    $2 gen integer    $3 required ids integer[], $4 job ids integer[], each as a literal
INSERT INTO job_requirement (org, gen, required_id, job_id)
SELECT $1::text, $2::integer, r.required_id, r.job_id
  FROM unnest($3::text::integer[], $4::text::integer[]) AS r (required_id, job_id)
