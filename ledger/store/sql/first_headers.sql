-- The first header of each of some streams.
--   $1 org text    $2 streams text[]
-- Returns stream, header.
SELECT e.stream, e.header
  FROM unnest($2::text[]) AS s (stream)
 CROSS JOIN LATERAL (
       SELECT stream, header FROM event WHERE org = (SELECT $1::text) AND stream = s.stream AND version = 1 OFFSET 0) AS e;
