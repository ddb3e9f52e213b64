-- The headers of a range of events in the order of their positions.
--   $1 org text    $2 from position bigint, itself included    $3 before position bigint
-- Returns header.
SELECT header
  FROM event
 WHERE org = (SELECT $1::text)
   AND position >= $2::bigint
   AND position < $3::bigint
 ORDER BY position;
