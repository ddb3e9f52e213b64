-- Jobs that have not started, or given a sign of life, for longer than they may; the longest overdue first. Time in which no
-- server watched counts for none of them.
--   $1 limit integer    $2 orgs passed over text[]
-- Returns org, id, and the time that did not count (interval).
SELECT d.org, d.id, d.allowance
  FROM (SELECT r.org, r.id, r.since, r.timeout,
               coalesce((SELECT sum(o.ended_at - greatest(o.began_at, r.since)) FROM outage AS o WHERE o.ended_at > r.since),
                        interval '0') AS allowance
          FROM (SELECT j.org, j.id, t.timeout, greatest(j.due_at - t.timeout, b.beat_at) AS since
                  FROM ledger_head AS h
                  JOIN job AS j
                    ON j.org = h.org AND j.gen = (h.projections -> 'jobs' ->> 'gen')::integer
                   AND j.due_at <= clock_timestamp()
                   AND h.org <> ALL ($2::text[])
                 CROSS JOIN LATERAL (
                       SELECT make_interval(secs => (j.registration::json ->> CASE j.state WHEN 'SCHEDULED' THEN 'start_timeout'
                                                                                 ELSE 'heartbeat_timeout' END)::integer)
                    ) AS t (timeout)
                  LEFT JOIN heartbeat AS b ON b.org = j.org AND b.job_id = j.id AND j.state = 'RUNNING') AS r) AS d
 WHERE d.since + d.timeout + d.allowance <= clock_timestamp()
 ORDER BY d.since + d.timeout
 LIMIT $1::integer;
