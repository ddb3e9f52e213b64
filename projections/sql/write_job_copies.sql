-- What is known of jobs on copies, each job and copy once.
--   $1 org text    $2 gen integer    $3 copy ids integer[]    $4 job ids integer[]    $5 states text[]    $6 are deleted boolean[]
--   $7 domains text[]    $8 begins_at timestamptz[]    $9 levels text[]    $10 client ids integer[]    $11 subclient ids integer[]
INSERT INTO job_copy (org, gen, copy_id, job_id, state, is_deleted, domain, begins_at, level, client_id, subclient_id)
SELECT $1::text, $2::integer, r.*
  FROM unnest($3::integer[], $4::integer[], $5::text[], $6::boolean[], $7::text[], $8::timestamptz[], $9::text[], $10::integer[],
              $11::integer[])
    AS r (copy_id, job_id, state, is_deleted, domain, begins_at, level, client_id, subclient_id)
    ON CONFLICT (org, gen, copy_id, job_id)
    DO UPDATE SET state = EXCLUDED.state, is_deleted = EXCLUDED.is_deleted, begins_at = EXCLUDED.begins_at
