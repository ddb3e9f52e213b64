-- Rows of archives that a batch changed, each once.
--   $1 org text    $2 gen integer    $3 ids integer[]    $4 versions integer[]    $5 requested_at timestamptz[]    $6 by text[]
--   $7 domains text[], JSON arrays or null    $8 told text[]    $9 verified_at, $10 completed_at, $11 deleted_at timestamptz[]
INSERT INTO archive (org, gen, id, version, requested_at, requested_by, domains, told, verified_at, completed_at, deleted_at)
SELECT $1::text, $2::integer, r.id, r.version, r.requested_at, r.requested_by,
       CASE WHEN r.domains <> 'null' THEN ARRAY(SELECT json_array_elements_text(r.domains::json)) END,
       r.told, r.verified_at, r.completed_at, r.deleted_at
  FROM unnest($3::integer[], $4::integer[], $5::timestamptz[], $6::text[], $7::text[], $8::text[], $9::timestamptz[],
              $10::timestamptz[], $11::timestamptz[])
    AS r (id, version, requested_at, requested_by, domains, told, verified_at, completed_at, deleted_at)
    ON CONFLICT (org, gen, id)
    DO UPDATE SET version = EXCLUDED.version, told = EXCLUDED.told, verified_at = EXCLUDED.verified_at,
                  completed_at = EXCLUDED.completed_at, deleted_at = EXCLUDED.deleted_at
