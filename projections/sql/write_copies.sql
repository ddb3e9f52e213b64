-- Rows of copies that a batch changed, each once.
--   $1 org text    $2 gen integer    $3 ids integer[]    $4 versions integer[]    $5 names text[]    $6 storage policy ids integer[]
--   $7 storage policy names text[]    $8 commcell ids integer[]    $9 types integer[]    $10 precedences integer[]
--   $11 are default boolean[]    $12 are snap boolean[]    $13 are active boolean[]    $14 registered_at timestamptz[]
--   $15 updated_at timestamptz[]
INSERT INTO storage_copy (org, gen, id, version, name, storage_policy_id, storage_policy_name, commcell_id, copy_type, precedence,
                          is_default, is_snap, is_active, registered_at, updated_at)
SELECT $1::text, $2::integer, r.*
  FROM unnest($3::integer[], $4::integer[], $5::text[], $6::integer[], $7::text[], $8::integer[], $9::integer[], $10::integer[],
              $11::boolean[], $12::boolean[], $13::boolean[], $14::timestamptz[], $15::timestamptz[])
    AS r (id, version, name, storage_policy_id, storage_policy_name, commcell_id, copy_type, precedence, is_default, is_snap, is_active,
          registered_at, updated_at)
    ON CONFLICT (org, gen, id)
    DO UPDATE SET version = EXCLUDED.version, name = EXCLUDED.name, storage_policy_name = EXCLUDED.storage_policy_name,
                  copy_type = EXCLUDED.copy_type, precedence = EXCLUDED.precedence, is_default = EXCLUDED.is_default,
                  is_snap = EXCLUDED.is_snap, is_active = EXCLUDED.is_active, updated_at = EXCLUDED.updated_at
