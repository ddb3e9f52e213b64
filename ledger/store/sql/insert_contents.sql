-- Contents of consecutive events.
--   $1 org text    $2 first position bigint    $3 bodies bytea, packed: $4 starts, $5 lengths
--   $6 private contents bytea[]
INSERT INTO content (org, position, body, private)
SELECT $1::text, $2::bigint + n - 1, substr($3::bytea, start, length), private
  FROM unnest($4::text::integer[], $5::text::integer[], $6::bytea[]) WITH ORDINALITY AS c (start, length, private, n)
