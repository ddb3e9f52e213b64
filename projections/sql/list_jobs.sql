-- A page of an org's jobs by id. Planned anew for each request (the reader's plan_cache_mode), so that a filter that is
-- null costs nothing and one that is not finds its index.
--   $1 org text    $2 after id integer    $3 limit integer    $4 domains text[] or null    $5 state text    $6 states text[]
--   $7 type text    $8 domain text    $9 datastream id text    $10 source text    $11 external id text
--   $12/$13 scheduled_at from/to timestamptz    $14/$15 started_at from/to    $16/$17 ended_at from/to    $18 q text, lower case
--   $19 closed boolean    $20 held boolean    $21 retained boolean    $22 at what instant timestamptz, absent: now
-- Each but the first three may be null. From is included, to is not.
-- Held and retained are what ledger/domain/retention.py says: keep the two in step.
-- Returns id, version, registration, course, decisions, private, body_hash, final_at, imported.
WITH head AS MATERIALIZED (
  SELECT coalesce($22::timestamptz, greatest(recorded_at, clock_timestamp())) AS now, projections
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
SELECT id, version, registration, course, decisions, private, body_hash, final_at, imported
  FROM job
 -- Computed only where it is asked for.
 CROSS JOIN LATERAL (
       SELECT coalesce(is_held, false) OR EXISTS (
              SELECT 1
                FROM held_by AS h
               WHERE (h.type IS NULL OR h.type = job.type)
                 AND (h.domain IS NULL OR h.domain = job.domain)
                 AND (h.datastream_id IS NULL OR h.datastream_id = job.datastream_id)
                 AND (h.source IS NULL OR h.source = job.source)
                 AND (h.external_id IS NULL OR h.external_id = job.external_id)
                 AND (h.state IS NULL OR h.state = job.state)
                 AND ((h.registered_from IS NULL AND h.registered_to IS NULL)
                      OR ((job.registration::json ->> 'registered_at')::timestamptz >= coalesce(h.registered_from, '-infinity')
                          AND (job.registration::json ->> 'registered_at')::timestamptz < coalesce(h.registered_to, 'infinity')))
                 AND ((h.scheduled_from IS NULL AND h.scheduled_to IS NULL)
                      OR (job.scheduled_at >= coalesce(h.scheduled_from, '-infinity')
                          AND job.scheduled_at < coalesce(h.scheduled_to, 'infinity')))
                 AND ((h.started_from IS NULL AND h.started_to IS NULL)
                      OR (job.started_at >= coalesce(h.started_from, '-infinity')
                          AND job.started_at < coalesce(h.started_to, 'infinity')))
                 AND ((h.ended_from IS NULL AND h.ended_to IS NULL)
                      OR (job.ended_at >= coalesce(h.ended_from, '-infinity')
                          AND job.ended_at < coalesce(h.ended_to, 'infinity')))) AS now) AS held
 WHERE org = (SELECT $1::text)
   AND gen = (SELECT (projections -> 'jobs' ->> 'gen')::integer FROM ledger_head WHERE org = (SELECT $1::text))
   AND id > $2::integer
   AND ($4::text[] IS NULL OR domain = ANY ($4::text[]))
   AND ($5::text IS NULL OR state = $5::text)
   AND ($6::text[] IS NULL OR state = ANY ($6::text[]))
   AND ($7::text IS NULL OR type = $7::text)
   AND ($8::text IS NULL OR domain = $8::text)
   AND ($9::text IS NULL OR datastream_id = $9::text)
   AND ($10::text IS NULL OR source = $10::text)
   AND ($11::text IS NULL OR external_id = $11::text)
   AND ($12::timestamptz IS NULL OR scheduled_at >= $12::timestamptz)
   AND ($13::timestamptz IS NULL OR scheduled_at < $13::timestamptz)
   AND ($14::timestamptz IS NULL OR started_at >= $14::timestamptz)
   AND ($15::timestamptz IS NULL OR started_at < $15::timestamptz)
   AND ($16::timestamptz IS NULL OR ended_at >= $16::timestamptz)
   AND ($17::timestamptz IS NULL OR ended_at < $17::timestamptz)
   AND ($18::text IS NULL OR strpos(q, $18::text) > 0)
   AND ($19::boolean IS DISTINCT FROM true OR is_closed)
   AND ($19::boolean IS DISTINCT FROM false OR is_closed IS NULL)
   AND ($20::boolean IS NULL OR $20::boolean = held.now)
   AND ($21::boolean IS NULL OR $21::boolean = (held.now
        OR coalesce(retained_until > (SELECT now FROM head), false)
        OR (final_at IS NOT NULL AND EXISTS (
            SELECT 1
              FROM retained_by AS r
             WHERE (r.type IS NULL OR r.type = job.type)
               AND (r.state IS NULL OR r.state = job.state)
               AND (r.replaced_at IS NULL OR r.replaced_at >= job.final_at)
               AND r.days > 0
               -- More days than the calendar has are without end; each day is 24 hours, whatever the session's zone.
               AND (r.days >= 3650000
                    OR CASE WHEN imported THEN ended_at ELSE greatest(ended_at, final_at) END
                       + r.days * interval '24 hours' > (SELECT now FROM head))))))
 ORDER BY id
 LIMIT $3::integer;
