-- Contents of consecutive events.
--   $1 org text    $2 first position bigint    $3 bodies bytea[]
INSERT INTO content (org, position, body)
SELECT $1::text, $2::bigint + n - 1, body
  FROM unnest($3::bytea[]) WITH ORDINALITY AS c (body, n)
