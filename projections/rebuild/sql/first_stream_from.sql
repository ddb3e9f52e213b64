-- The first stream from one on, and the type of its first event.
--   $1 org text    $2 stream text
-- Returns stream, type; no row where there is none.
SELECT stream, type
  FROM event
 WHERE org = (SELECT $1::text) AND stream >= $2::text
 ORDER BY stream, version
 LIMIT 1;
