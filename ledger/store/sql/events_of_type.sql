-- Events of one type within a range of positions: a rare type in a long ledger is looked for range by range.
--   $1 org text    $2 from position bigint, itself included    $3 before position bigint    $4 type text
--   $5 stream text or null    $6 limit integer
-- Returns position, header, body, private; body is null where it was purged, private where there is none (any more).
SELECT e.position, e.header, c.body, c.private
  FROM event AS e
  LEFT JOIN content AS c ON c.org = e.org AND c.position = e.position
 WHERE e.org = (SELECT $1::text)
   AND e.position >= $2::bigint
   AND e.position < $3::bigint
   AND e.type = $4::text
   AND ($5::text IS NULL OR e.stream = $5::text)
 ORDER BY e.position
 LIMIT $6::integer;
