-- Events of a range of streams beyond one of them, in the order of stream and version, up to a size together; the first
-- whatever its size.
--   $1 org text    $2 stream text    $3 version integer    $4 before stream text    $5 limit integer    $6 size in bytes bigint
-- Returns position, header, body, private; body is null where it was purged, private where there is none
-- (any more).
-- OFFSET 0 keeps the order: the headers along their index, then one lookup of a content for each.
SELECT position, header, body, private
  FROM (SELECT e.stream, e.version, e.position, e.header, c.body, c.private,
               coalesce(octet_length(c.body), 0) + coalesce(octet_length(c.private), 0) AS own,
               sum(coalesce(octet_length(c.body), 0) + coalesce(octet_length(c.private), 0))
                 OVER (ORDER BY e.stream, e.version ROWS UNBOUNDED PRECEDING) AS size
          FROM (SELECT stream, version, position, header
                  FROM event
                 WHERE org = (SELECT $1::text) AND (stream, version) > ($2::text, $3::integer) AND stream < $4::text
                 ORDER BY stream, version
                 LIMIT $5::integer) AS e
          LEFT JOIN LATERAL (SELECT body, private FROM content WHERE org = (SELECT $1::text) AND position = e.position OFFSET 0) AS c
            ON true) AS measured
 WHERE size <= $6::bigint OR size = own
 ORDER BY stream, version;
