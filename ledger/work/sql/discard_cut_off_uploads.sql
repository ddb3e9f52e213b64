-- Remove the chunks of uploads that nothing recorded and that brought nothing for so long.
--   $1 for how long interval    $2 at most uploads integer
SELECT discard_upload(org, id)
  FROM (SELECT org, id FROM upload WHERE touched_at < clock_timestamp() - $1::interval LIMIT $2::integer) AS cut_off;
