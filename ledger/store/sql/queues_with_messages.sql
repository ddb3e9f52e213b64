-- Those of some queues that have a message which nobody has, or a consumer that has been idle for 300 seconds and holds one.
--   $1 orgs text[]    $2 queue ids integer[]
-- Returns org, queue_id.
SELECT w.org, w.queue_id
  FROM unnest($1::text[], $2::integer[]) AS w (org, queue_id)
 WHERE EXISTS (SELECT FROM message AS m WHERE m.org = w.org AND m.queue_id = w.queue_id AND m.consumer IS NULL)
    OR EXISTS (SELECT FROM consumer AS c
                WHERE c.org = w.org AND c.queue_id = w.queue_id AND c.held IS NOT NULL
                  AND c.used_at < clock_timestamp() - interval '300 seconds');
