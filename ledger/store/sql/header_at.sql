-- The header at a position; no row where nothing stands there.
--   $1 org text    $2 position bigint
SELECT header
  FROM event
 WHERE org = (SELECT $1::text) AND position = $2::bigint;
