-- Rows of diagrams that a batch changed, each once.
--   $1 org text    $2 gen integer    $3 ids integer[]    $4 versions integer[]    $5 names text[]    $6 descriptions text[]
--   $7 active integer[]    $8 are deleted boolean[]    $9 created_at timestamptz[]    $10 updated_at timestamptz[]
INSERT INTO diagram (org, gen, id, version, name, description, active, is_deleted, created_at, updated_at)
SELECT $1::text, $2::integer, id, version, name, description, active, is_deleted, created_at, updated_at
  FROM unnest($3::integer[], $4::integer[], $5::text[], $6::text[], $7::integer[], $8::boolean[], $9::timestamptz[],
              $10::timestamptz[])
    AS r (id, version, name, description, active, is_deleted, created_at, updated_at)
    ON CONFLICT (org, gen, id)
    DO UPDATE SET version = EXCLUDED.version, name = EXCLUDED.name, description = EXCLUDED.description,
                  active = EXCLUDED.active, is_deleted = EXCLUDED.is_deleted, updated_at = EXCLUDED.updated_at
