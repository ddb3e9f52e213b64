-- The events of some types in a range of positions, in their order.
--   $1 org text    $2 from position bigint, itself included    $3 before position bigint    $4 types text[]
-- Returns stream, type.
SELECT stream, type
  FROM event
 WHERE org = (SELECT $1::text) AND position >= $2::bigint AND position < $3::bigint AND type = ANY ($4::text[])
 ORDER BY position;
