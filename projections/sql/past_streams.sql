-- All events up to a position of the streams from one name to before another, in the order of stream and version: of kinds that are few.
--   $1 org text    $2 from stream text    $3 before stream text    $4 position bigint, itself included
-- Returns position, header, body, private; body is null where it was purged, private where there is none (any more).
SELECT e.position, e.header, c.body, c.private
  FROM (SELECT stream, version, position, header
          FROM event
         WHERE org = (SELECT $1::text) AND stream >= $2::text AND stream < $3::text AND position <= $4::bigint
        OFFSET 0) AS e
  LEFT JOIN LATERAL (SELECT body, private FROM content WHERE org = (SELECT $1::text) AND position = e.position OFFSET 0) AS c ON TRUE
 ORDER BY e.stream, e.version;
