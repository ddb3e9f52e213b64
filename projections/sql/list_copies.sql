-- Copies of an org by id.
--   $1 org text    $2 after what id integer    $3 at most integer    $4 storage policy id integer or null    $5 id integer or null
-- Returns a copy's row, but for org and gen.
SELECT id, version, name, storage_policy_id, storage_policy_name, commcell_id, copy_type, precedence, is_default, is_snap, is_active,
       registered_at, updated_at
  FROM storage_copy
 WHERE org = (SELECT $1::text)
   AND gen = (SELECT (projections -> 'copies' ->> 'gen')::integer FROM ledger_head WHERE org = (SELECT $1::text))
   AND id > $2::integer
   AND ($4::integer IS NULL OR storage_policy_id = $4::integer)
   AND ($5::integer IS NULL OR id = $5::integer)
 ORDER BY org, gen, id
 LIMIT $3::integer;
