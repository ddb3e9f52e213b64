-- Attempts that were refused, in the order of their positions within a range of these.
--   $1 org text    $2 from position bigint, itself included    $3 before position bigint    $4 limit integer
--   $5 what the streams begin with of whom they are text, or null
-- Returns position, header, body; body is null where it has left the store.
SELECT e.position, e.header, c.body
  FROM event AS e
  LEFT JOIN content AS c ON c.org = e.org AND c.position = e.position
 WHERE e.org = (SELECT $1::text)
   AND e.type = 'access.denied'
   AND e.position >= $2::bigint
   AND e.position < $3::bigint
   AND ($5::text IS NULL OR starts_with(e.stream, $5::text))
 ORDER BY e.position
 LIMIT $4::integer;
