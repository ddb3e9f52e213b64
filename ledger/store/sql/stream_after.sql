-- Events of some streams beyond a version of each, in the order of stream and version.
--   $1 org text    $2 streams text[]    $3 versions integer[]
-- Returns position, header, body; body is null where it was purged.
SELECT e.position, e.header, c.body
  FROM unnest($2::text[], $3::integer[]) AS s (stream, version)
  JOIN event AS e ON e.org = $1::text AND e.stream = s.stream AND e.version > s.version
  LEFT JOIN content AS c ON c.org = e.org AND c.position = e.position
 ORDER BY e.stream, e.version;
