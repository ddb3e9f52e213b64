-- Drop the oldest messages of queues that are about to be given more: 9,999 stay of each.
--   $1 org text    $2 queue ids integer[]
DELETE FROM message AS m
 USING (SELECT DISTINCT u.queue_id,
               (SELECT o.id FROM message AS o WHERE o.org = $1::text AND o.queue_id = u.queue_id ORDER BY o.id DESC OFFSET 9999 LIMIT 1) AS last_id
          FROM unnest($2::integer[]) AS u (queue_id)) AS old
 WHERE m.org = $1::text AND m.queue_id = old.queue_id AND m.id <= old.last_id;
