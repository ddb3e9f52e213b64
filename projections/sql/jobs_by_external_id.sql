-- Jobs by the names that their sources give them.
--   $1 org text    $2 gen integer    $3 sources text[]    $4 external ids text[]
-- Returns source, external_id, id, body_hash, and the position of the job's registration.
-- LATERAL with OFFSET 0 keeps the order: one lookup for each, also where the planner knows nothing yet of the table.
SELECT j.source, j.external_id, j.id, j.body_hash, e.position
  FROM unnest($3::text[], $4::text[]) AS asked (source, external_id)
 CROSS JOIN LATERAL (
       SELECT source, external_id, id, body_hash
         FROM job
        WHERE org = $1::text AND gen = $2::integer AND external_id = asked.external_id AND source = asked.source
       OFFSET 0) AS j
 CROSS JOIN LATERAL (
       SELECT position FROM event WHERE org = $1::text AND stream = 'job-' || j.id AND version = 1 OFFSET 0) AS e;
