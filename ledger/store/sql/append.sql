-- One batch: head, headers, contents. The statements of the inline projections and of the answers to Idempotency-Keys
-- join it where it is put together.
--   $1 org text    $2 size bigint    $3 last_leaf bytea    $4 recorded_at timestamptz    $5 numbers json text
--   $6 first position bigint
--   $7 streams text[], $8 versions integer[], $9 types text[], each as a literal    $10 headers bytea[]    $11 bodies bytea[]
WITH head AS (
  UPDATE ledger_head
     SET size = $2::bigint, last_leaf = $3::bytea, recorded_at = $4::timestamptz, numbers = $5::jsonb
   WHERE org = $1::text
), headers AS (
  INSERT INTO event (org, position, stream, version, type, recorded_at, header)
  SELECT $1::text, $6::bigint + n - 1, stream, version, type, $4::timestamptz, header
    FROM unnest($7::text::text[], $8::text::integer[], $9::text::text[], $10::bytea[]) WITH ORDINALITY AS e (stream, version, type, header, n)
), contents AS (
  INSERT INTO content (org, position, body)
  SELECT $1::text, $6::bigint + n - 1, body
    FROM unnest($11::bytea[]) WITH ORDINALITY AS c (body, n)
)
