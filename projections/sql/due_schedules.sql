-- Schedules of all orgs that are due by now or within a time, the longest due first.
--   $1 within interval    $2 at most integer    $3 orgs passed over text[]
-- Returns org, id, next_at, wait_s: how long until then by the database's clock; below zero it is due; and who made it.
SELECT s.org, s.id, s.next_at, extract(epoch FROM s.next_at - clock_timestamp())::double precision AS wait_s, s.created_by
  FROM schedule AS s
  JOIN ledger_head AS h
    ON h.org = s.org AND s.gen = (h.projections -> 'schedules' ->> 'gen')::integer
 WHERE s.next_at <= clock_timestamp() + $1::interval
   AND s.org <> ALL ($3::text[])
 ORDER BY s.next_at
 LIMIT $2::integer;
