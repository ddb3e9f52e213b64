-- A page of one stream's events by version.
--   $1 org text    $2 stream text    $3 after version integer    $4 limit integer
-- Returns position, header, body, private; body is null where it was purged, private where there is none (any more).
SELECT e.position, e.header, c.body, c.private
  FROM event AS e
  LEFT JOIN content AS c ON c.org = e.org AND c.position = e.position
 WHERE e.org = (SELECT $1::text)
   AND e.stream = $2::text
   AND e.version > $3::integer
 ORDER BY e.org, e.stream, e.version
 LIMIT $4::integer;
