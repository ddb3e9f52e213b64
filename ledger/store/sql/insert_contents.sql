-- Contents of consecutive events.
--   $1 org text    $2 first position bigint    $3 bodies bytea, packed: $4 starts, $5 lengths
INSERT INTO content (org, position, body)
SELECT $1::text, $2::bigint + n - 1, substr($3::bytea, start, length)
  FROM unnest($4::text::integer[], $5::text::integer[]) WITH ORDINALITY AS c (start, length, n)
