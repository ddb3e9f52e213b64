-- The org as its row has it.
--   $1 org text    $2 gen integer
-- Returns version, begun_at, policy.
SELECT version, begun_at, policy
  FROM org_policy
 WHERE org = (SELECT $1::text) AND gen = $2::integer;
