-- Events in the order of their positions, up to a size together; the first whatever its size.
--   $1 org text    $2 from position bigint, itself included    $3 limit integer    $4 size in bytes bigint
-- Returns position, header, body, private; body is null where it was purged, private where there is none (any more).
SELECT position, header, body, private
  FROM (SELECT e.position, e.header, c.body, c.private,
               sum(octet_length(e.header) + coalesce(octet_length(c.body), 0) + coalesce(octet_length(c.private), 0)) OVER (ORDER BY e.position) AS size
          FROM event AS e
          LEFT JOIN content AS c ON c.org = e.org AND c.position = e.position
         WHERE e.org = (SELECT $1::text)
           AND e.position >= $2::bigint
         ORDER BY e.position
         LIMIT $3::integer) AS measured
 WHERE size <= $4::bigint
    OR position = $2::bigint
 ORDER BY position;
