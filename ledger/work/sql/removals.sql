-- The events of streams that say that contents before them were removed, before a position.
--   $1 org text    $2 streams text[]    $3 before position bigint
-- Returns stream, position, type, header, body, in the order of positions.
SELECT e.stream, e.position, e.type, e.header, c.body
  FROM unnest($2::text[]) AS u (stream)
 CROSS JOIN LATERAL (
       SELECT stream, position, type, header FROM event
        WHERE org = (SELECT $1::text) AND stream = u.stream
          AND type IN ('job.purged', 'job.deleted', 'job.erased', 'job.attachment_removed')
       OFFSET 0) AS e
  LEFT JOIN content AS c ON c.org = (SELECT $1::text) AND c.position = e.position
 WHERE e.position < $3::bigint
 ORDER BY e.position;
