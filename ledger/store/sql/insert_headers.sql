-- Headers of consecutive events.
--   $1 org text    $2 first position bigint    $3 recorded_at timestamptz
--   $4 streams text[], $5 versions integer[], $6 types text[], each as a literal    $7 headers bytea, packed: $8 starts, $9 lengths
INSERT INTO event (org, position, stream, version, type, recorded_at, header)
SELECT $1::text, $2::bigint + n - 1, stream, version, type, $3::timestamptz, substr($7::bytea, start, length)
  FROM unnest($4::text::text[], $5::text::integer[], $6::text::text[], $8::text::integer[], $9::text::integer[])
       WITH ORDINALITY AS e (stream, version, type, start, length, n)
