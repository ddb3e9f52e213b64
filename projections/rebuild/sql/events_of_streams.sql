-- Events of a range of streams beyond one of them, in the order of stream and version, up to a size together; the first
-- whatever its size.
--   $1 org text    $2 stream text    $3 version integer    $4 before stream text    $5 limit integer    $6 size in bytes bigint
-- Returns stream, version, position, type, header, body, private; body is null where it was purged, private where there is none
-- (any more).
SELECT stream, version, position, type, header, body, private
  FROM (SELECT e.stream, e.version, e.position, e.type, e.header, c.body, c.private,
               sum(coalesce(octet_length(c.body), 0) + coalesce(octet_length(c.private), 0)) OVER (ORDER BY e.stream, e.version) AS size,
               row_number() OVER (ORDER BY e.stream, e.version) AS number
          FROM event AS e
          LEFT JOIN content AS c ON c.org = (SELECT $1::text) AND c.position = e.position
         WHERE e.org = (SELECT $1::text) AND (e.stream, e.version) > ($2::text, $3::integer) AND e.stream < $4::text
         ORDER BY e.stream, e.version
         LIMIT $5::integer) AS measured
 WHERE size <= $6::bigint OR number = 1
 ORDER BY stream, version;
