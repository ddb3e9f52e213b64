-- Events of some streams beyond a version of each, up to a position, in the order of stream and version.
--   $1 org text    $2 streams text[]    $3 versions integer[]    $4 before position bigint
-- Returns position, header, body, private; body is null where it was purged, private where there is none (any more).
SELECT e.position, e.header, c.body, c.private
  FROM unnest($2::text[], $3::integer[]) AS s (stream, version)
 CROSS JOIN LATERAL (
       SELECT stream, version, position, header
         FROM event
        WHERE org = (SELECT $1::text) AND stream = s.stream AND version > s.version AND position < $4::bigint
       OFFSET 0) AS e
  LEFT JOIN LATERAL (SELECT body, private FROM content WHERE org = (SELECT $1::text) AND position = e.position OFFSET 0) AS c ON TRUE
 ORDER BY e.stream, e.version;
