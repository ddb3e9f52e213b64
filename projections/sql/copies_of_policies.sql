-- The copies of some storage policies.
--   $1 org text    $2 gen integer    $3 storage policy ids integer[]
-- Returns storage_policy_id, id, name.
SELECT storage_policy_id, id, name
  FROM storage_copy
 WHERE org = $1::text AND gen = $2::integer AND storage_policy_id = ANY ($3::integer[])
 ORDER BY id;
