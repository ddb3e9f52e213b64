-- Versions of diagrams that a batch saved or removed, and drafts, each once.
--   $1 org text    $2 gen integer    $3 ids integer[]    $4 numbers integer[]    $5 contents text[]    $6 saved_at timestamptz[]
--   $7 are deleted boolean[]
INSERT INTO diagram_version (org, gen, id, number, content, saved_at, is_deleted)
SELECT $1::text, $2::integer, id, number, content, saved_at, is_deleted
  FROM unnest($3::integer[], $4::integer[], $5::text[], $6::timestamptz[], $7::boolean[])
    AS r (id, number, content, saved_at, is_deleted)
    ON CONFLICT (org, gen, id, number)
    DO UPDATE SET content = EXCLUDED.content, saved_at = EXCLUDED.saved_at, is_deleted = EXCLUDED.is_deleted
