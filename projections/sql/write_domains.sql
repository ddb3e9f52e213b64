-- The first registrations in some domains, each once; where an earlier one is known it stays.
--   $1 org text    $2 gen integer    $3 names text[]    $4 registered_at timestamptz[]    $5 job ids integer[]
INSERT INTO job_domain (org, gen, name, first_at, first_id)
SELECT $1::text, $2::integer, r.name, r.first_at, r.first_id
  FROM unnest($3::text[], $4::timestamptz[], $5::integer[]) AS r (name, first_at, first_id)
 WHERE NOT EXISTS (SELECT FROM job_domain AS d
                    WHERE d.org = $1::text AND d.gen = $2::integer AND d.name = r.name
                      AND (d.first_at, d.first_id) <= (r.first_at, r.first_id))
    ON CONFLICT (org, gen, name)
    DO UPDATE SET first_at = EXCLUDED.first_at, first_id = EXCLUDED.first_id
