-- The streams and types of the events of a range of positions, in their order.
--   $1 org text    $2 from position bigint, itself included    $3 before position bigint
-- Returns stream, type.
SELECT stream, type
  FROM event
 WHERE org = (SELECT $1::text) AND position >= $2::bigint AND position < $3::bigint
 ORDER BY position;
