-- Rows of a projection's generation have come so far; in the transaction of these rows.
--   $1 org text    $2 gen integer    $3 projection text    $4 position bigint
INSERT INTO tracking (org, gen, projection, position, moved_at)
VALUES ($1::text, $2::integer, $3::text, $4::bigint, clock_timestamp())
    ON CONFLICT (org, gen, projection) DO UPDATE SET position = EXCLUDED.position, moved_at = EXCLUDED.moved_at;
