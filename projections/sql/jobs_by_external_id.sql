-- Jobs by the names that their sources give them.
--   $1 org text    $2 gen integer    $3 sources text[]    $4 external ids text[]
-- Returns source, external_id, id, body_hash, and the position of the job's registration.
SELECT j.source, j.external_id, j.id, j.body_hash, e.position
  FROM unnest($3::text[], $4::text[]) AS asked (source, external_id)
  JOIN job AS j
    ON j.org = $1::text AND j.gen = $2::integer AND j.external_id = asked.external_id AND j.source = asked.source
  JOIN event AS e
    ON e.org = $1::text AND e.stream = 'job-' || j.id AND e.version = 1;
