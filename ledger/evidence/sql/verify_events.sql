-- Events whole, as they are verified.
--   $1 org text    $2 from position bigint, itself included    $3 before position bigint
-- Returns position, stream, version, type, header, body, private; the last two are null where there is none (any more).
SELECT e.position, e.stream, e.version, e.type, e.header, c.body, c.private
  FROM event AS e
  LEFT JOIN content AS c ON c.org = e.org AND c.position = e.position
 WHERE e.org = (SELECT $1::text)
   AND e.position >= $2::bigint
   AND e.position < $3::bigint
 ORDER BY e.position;
