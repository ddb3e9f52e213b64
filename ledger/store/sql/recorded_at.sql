-- When the event at a position was recorded.
--   $1 org text    $2 position bigint
-- Returns recorded_at.
SELECT recorded_at
  FROM event
 WHERE org = (SELECT $1::text) AND position = $2::bigint;
