-- Rows of queues that a batch changed, each once.
--   $1 org text    $2 gen integer    $3 ids integer[]    $4 versions integer[]    $5 names text[]    $6 owners text[]
--   $7 durable boolean[]    $8 created_at timestamptz[]    $9 deleted_at timestamptz[]
INSERT INTO queue (org, gen, id, version, name, owner, durable, created_at, deleted_at)
SELECT $1::text, $2::integer, r.*
  FROM unnest($3::integer[], $4::integer[], $5::text[], $6::text[], $7::boolean[], $8::timestamptz[], $9::timestamptz[])
    AS r (id, version, name, owner, durable, created_at, deleted_at)
 ORDER BY r.id
    ON CONFLICT (org, gen, id)
    DO UPDATE SET version = EXCLUDED.version, deleted_at = EXCLUDED.deleted_at
