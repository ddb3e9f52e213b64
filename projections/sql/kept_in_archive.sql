-- Jobs that an archive holds and something keeps, the first by id: a hold, or a retention, of what is still there or not.
--   $1 org text    $2 gen integer    $3 archive id integer    $4 at most integer
-- Of a job that is gone, what is no longer known counts as matching. What keeps a job is what ledger/domain/retention.py says.
-- Returns job_id.
WITH head AS MATERIALIZED (
  SELECT greatest(recorded_at, clock_timestamp()) AS now, projections
    FROM ledger_head
   WHERE org = (SELECT $1::text)
), held_by AS MATERIALIZED (
  SELECT type, domain, datastream_id, source, external_id, state, registered_from, registered_to,
         scheduled_from, scheduled_to, started_from, started_to, ended_from, ended_to
    FROM hold
   WHERE org = (SELECT $1::text) AND gen = (SELECT (projections -> 'holds' ->> 'gen')::integer FROM head)
     AND filter IS NOT NULL AND released_at IS NULL
), retained_by AS MATERIALIZED (
  SELECT w.type, w.state, greatest(w.basic_days, w.extended_days) AS days, w.replaced_at
    FROM org_policy AS p
   CROSS JOIN LATERAL json_to_recordset(p.policy::json -> 'windows')
      AS w (type text, state text, basic_days integer, extended_days integer, replaced_at timestamptz)
   WHERE p.org = (SELECT $1::text) AND p.gen = (SELECT (projections -> 'policy' ->> 'gen')::integer FROM head)
)
SELECT a.job_id
  FROM archived_job AS a
  LEFT JOIN job AS j
    ON a.gone IS NULL AND j.org = (SELECT $1::text) AND j.gen = (SELECT (projections -> 'jobs' ->> 'gen')::integer FROM head)
   AND j.id = a.job_id
 WHERE a.org = (SELECT $1::text) AND a.gen = $2::integer AND a.archive_id = $3::integer
   AND (coalesce(j.is_held, false)
        OR coalesce(j.retained_until > (SELECT now FROM head), false)
        OR EXISTS (
           SELECT 1
             FROM held_by AS h
            WHERE (h.type IS NULL OR h.type = a.type)
              AND (h.domain IS NULL OR h.domain = a.domain)
              AND (a.gone IS NOT NULL OR h.datastream_id IS NULL OR h.datastream_id = j.datastream_id)
              AND (a.gone IS NOT NULL OR h.source IS NULL OR h.source = j.source)
              AND (a.gone IS NOT NULL OR h.external_id IS NULL OR h.external_id = j.external_id)
              AND (h.state IS NULL OR h.state = a.state)
              AND ((h.registered_from IS NULL AND h.registered_to IS NULL)
                   OR (a.registered_at >= coalesce(h.registered_from, '-infinity')
                       AND a.registered_at < coalesce(h.registered_to, 'infinity')))
              AND ((h.scheduled_from IS NULL AND h.scheduled_to IS NULL)
                   OR (a.scheduled_at >= coalesce(h.scheduled_from, '-infinity')
                       AND a.scheduled_at < coalesce(h.scheduled_to, 'infinity')))
              AND ((h.started_from IS NULL AND h.started_to IS NULL)
                   OR (a.started_at >= coalesce(h.started_from, '-infinity')
                       AND a.started_at < coalesce(h.started_to, 'infinity')))
              AND ((h.ended_from IS NULL AND h.ended_to IS NULL)
                   OR (a.ended_at >= coalesce(h.ended_from, '-infinity')
                       AND a.ended_at < coalesce(h.ended_to, 'infinity'))))
        OR EXISTS (
           SELECT 1
             FROM retained_by AS r
            WHERE (r.type IS NULL OR r.type = a.type)
              AND (r.state IS NULL OR r.state = a.state)
              AND (r.replaced_at IS NULL OR r.replaced_at >= a.final_at)
              AND r.days > 0
              -- More days than the calendar has are without end; each day is 24 hours, whatever the session's zone.
              AND (r.days >= 3650000
                   OR CASE WHEN a.imported THEN a.ended_at ELSE greatest(a.ended_at, a.final_at) END
                      + r.days * interval '24 hours' > (SELECT now FROM head))))
 ORDER BY a.job_id
 LIMIT $4::integer;
