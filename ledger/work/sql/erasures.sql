-- Which jobs were erased in a range of positions, in their order.
--   $1 org text    $2 from position bigint, itself included    $3 before position bigint
-- Returns stream, version, scope.
SELECT e.stream, e.version, convert_from(c.body, 'UTF8')::json -> 'data' ->> 'scope' AS scope
  FROM event AS e
  JOIN content AS c ON c.org = e.org AND c.position = e.position
 WHERE e.org = (SELECT $1::text) AND e.position >= $2::bigint AND e.position < $3::bigint AND e.type = 'job.erased'
 ORDER BY e.position;
