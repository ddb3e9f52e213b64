-- Rows of orgs that a batch changed.
--   $1 org text    $2 gen integer    $3 versions integer[]    $4 begun_at timestamptz[]    $5 policies text[]
INSERT INTO org_policy (org, gen, version, begun_at, policy)
SELECT $1::text, $2::integer, version, begun_at, policy
  FROM unnest($3::integer[], $4::timestamptz[], $5::text[]) AS r (version, begun_at, policy)
    ON CONFLICT (org, gen) DO UPDATE SET version = EXCLUDED.version, policy = EXCLUDED.policy
