-- Copies as their rows have them.
--   $1 org text    $2 gen integer    $3 ids integer[]
-- Returns a copy's row, but for org and gen.
SELECT id, version, name, storage_policy_id, storage_policy_name, commcell_id, copy_type, precedence, is_default, is_snap, is_active,
       registered_at, updated_at
  FROM storage_copy
 WHERE org = $1::text AND gen = $2::integer AND id = ANY ($3::integer[]);
