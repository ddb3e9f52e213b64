-- Work of all orgs that waits to be done, or that whoever did it has left: of each org and kind one, what was left first, then the
-- oldest; none while another of that kind is done there, nor before its time.
--   $1 kinds text[]    $2 after how long without a sign of life it was left interval    $3 at most integer
--   $4 orgs passed over text[]
-- Returns org, id, kind, claim.
WITH work AS (
  SELECT w.org, w.id, w.kind, w.claim, w.claim > 0 AND s.seen_at > clock_timestamp() - $2::interval AS is_done
    FROM ledger_head AS h
    JOIN job_work AS w
      ON w.org = h.org AND w.gen = (h.projections -> 'work' ->> 'gen')::integer
    LEFT JOIN heartbeat AS b ON b.org = w.org AND b.job_id = w.id
   CROSS JOIN LATERAL (SELECT greatest(w.reported_at, b.beat_at)) AS s (seen_at)
   WHERE w.kind = ANY ($1::text[])
     AND h.org <> ALL ($4::text[])
     AND (w.claim > 0 OR w.scheduled_at IS NULL OR w.scheduled_at <= greatest(h.recorded_at, clock_timestamp()))
)
SELECT DISTINCT ON (o.org, o.kind) o.org, o.id, o.kind, o.claim
  FROM work AS o
 WHERE NOT EXISTS (SELECT FROM work AS d WHERE d.org = o.org AND d.kind = o.kind AND d.is_done)
 ORDER BY o.org, o.kind, o.claim = 0, o.id
 LIMIT $3::integer;
