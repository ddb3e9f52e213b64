-- A stream's headers in their order.
--   $1 org text    $2 stream text    $3 beyond position bigint    $4 limit integer
-- Returns position, header.
SELECT position, header
  FROM event
 WHERE org = (SELECT $1::text)
   AND stream = $2::text
   AND position > $3::bigint
 ORDER BY version
 LIMIT $4::integer;
