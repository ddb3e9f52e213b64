-- What the course of jobs changed in their rows.
--   $1 org text    $2 gen integer    $3 ids integer[]    $4 versions integer[]    $5 states text[]
--   $6 started_at timestamptz[]    $7 ended_at timestamptz[]    $8 due_at timestamptz[]    $9 courses text[]
UPDATE job
   SET version = r.version, state = r.state, started_at = r.started_at, ended_at = r.ended_at, due_at = r.due_at,
       course = r.course
  FROM unnest($3::integer[], $4::integer[], $5::text[], $6::timestamptz[], $7::timestamptz[], $8::timestamptz[],
              $9::text[]) AS r (id, version, state, started_at, ended_at, due_at, course)
 WHERE job.org = $1::text AND job.gen = $2::integer AND job.id = r.id
