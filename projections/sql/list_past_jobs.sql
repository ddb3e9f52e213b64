-- A page of an org's jobs as they stood at a position, by id. Planned anew for each request, as list_jobs.
--   $1 org text    $2 position bigint    $3 after id integer    $4 limit integer    $5 ids integer[] or null: among these alone
--   $6 domains text[] or null    $7 states text[]    $8 type text    $9 domain text    $10 datastream id text    $11 source text
--   $12 external id text    $13/$14 scheduled_at from/to timestamptz    $15/$16 started_at from/to    $17/$18 ended_at from/to
--   $19 q text, lower case    $20 closed boolean    $21 held boolean    $22 retained boolean    $23 at what instant timestamptz
--   $24 the active holds over filters json text    $25 the policy's windows json text
-- From $6 on each but the last three may be null. From is included, to is not.
-- Held and retained are what ledger/domain/retention.py says: keep the two in step.
-- Returns id.
WITH held_by AS MATERIALIZED (
  SELECT *
    FROM json_to_recordset($24::text::json)
      AS h (type text, domain text, datastream_id text, source text, external_id text, state text, registered_from timestamptz,
            registered_to timestamptz, scheduled_from timestamptz, scheduled_to timestamptz, started_from timestamptz,
            started_to timestamptz, ended_from timestamptz, ended_to timestamptz)
), retained_by AS MATERIALIZED (
  SELECT w.type, w.state, greatest(w.basic_days, w.extended_days) AS days, w.replaced_at
    FROM json_to_recordset($25::text::json)
      AS w (type text, state text, basic_days integer, extended_days integer, replaced_at timestamptz)
)
SELECT p.id
  FROM job_past AS p
 -- The one row that the position lies in, if there is one: rows of a job do not overlap.
 CROSS JOIN LATERAL (
       SELECT *
         FROM job_history
        WHERE org = (SELECT $1::text)
          AND gen = (SELECT (projections -> 'job_history' ->> 'gen')::integer FROM ledger_head WHERE org = (SELECT $1::text))
          AND id = p.id AND from_position <= $2::bigint
        ORDER BY from_position DESC
        LIMIT 1) AS s
 -- Computed only where it is asked for.
 CROSS JOIN LATERAL (
       SELECT coalesce(s.is_held, false) OR EXISTS (
              SELECT 1
                FROM held_by AS h
               WHERE (h.type IS NULL OR h.type = p.type)
                 AND (h.domain IS NULL OR h.domain = p.domain)
                 AND (h.datastream_id IS NULL OR h.datastream_id = p.datastream_id)
                 AND (h.source IS NULL OR h.source = p.source)
                 AND (h.external_id IS NULL OR h.external_id = p.external_id)
                 AND (h.state IS NULL OR h.state = s.state)
                 AND ((h.registered_from IS NULL AND h.registered_to IS NULL)
                      OR (p.registered_at >= coalesce(h.registered_from, '-infinity') AND p.registered_at < coalesce(h.registered_to, 'infinity')))
                 AND ((h.scheduled_from IS NULL AND h.scheduled_to IS NULL)
                      OR (p.scheduled_at >= coalesce(h.scheduled_from, '-infinity') AND p.scheduled_at < coalesce(h.scheduled_to, 'infinity')))
                 AND ((h.started_from IS NULL AND h.started_to IS NULL)
                      OR (s.started_at >= coalesce(h.started_from, '-infinity') AND s.started_at < coalesce(h.started_to, 'infinity')))
                 AND ((h.ended_from IS NULL AND h.ended_to IS NULL)
                      OR (s.ended_at >= coalesce(h.ended_from, '-infinity') AND s.ended_at < coalesce(h.ended_to, 'infinity')))) AS now) AS held
 WHERE p.org = (SELECT $1::text)
   AND p.gen = (SELECT (projections -> 'job_history' ->> 'gen')::integer FROM ledger_head WHERE org = (SELECT $1::text))
   AND p.id > $3::integer
   AND p.registered_position <= $2::bigint
   AND s.until_position > $2::bigint
   AND ($5::integer[] IS NULL OR p.id = ANY ($5::integer[]))
   AND ($6::text[] IS NULL OR p.domain = ANY ($6::text[]))
   AND ($7::text[] IS NULL OR s.state = ANY ($7::text[]))
   AND ($8::text IS NULL OR p.type = $8::text)
   AND ($9::text IS NULL OR p.domain = $9::text)
   AND ($10::text IS NULL OR p.datastream_id = $10::text)
   AND ($11::text IS NULL OR p.source = $11::text)
   AND ($12::text IS NULL OR p.external_id = $12::text)
   AND ($13::timestamptz IS NULL OR p.scheduled_at >= $13::timestamptz)
   AND ($14::timestamptz IS NULL OR p.scheduled_at < $14::timestamptz)
   AND ($15::timestamptz IS NULL OR s.started_at >= $15::timestamptz)
   AND ($16::timestamptz IS NULL OR s.started_at < $16::timestamptz)
   AND ($17::timestamptz IS NULL OR s.ended_at >= $17::timestamptz)
   AND ($18::timestamptz IS NULL OR s.ended_at < $18::timestamptz)
   AND ($19::text IS NULL OR strpos(s.q, $19::text) > 0)
   AND ($20::boolean IS DISTINCT FROM true OR s.is_closed)
   AND ($20::boolean IS DISTINCT FROM false OR s.is_closed IS NULL)
   AND ($21::boolean IS NULL OR $21::boolean = held.now)
   AND ($22::boolean IS NULL OR $22::boolean = (held.now
        OR coalesce(s.retained_until > $23::timestamptz, false)
        OR (s.final_at IS NOT NULL AND EXISTS (
            SELECT 1
              FROM retained_by AS r
             WHERE (r.type IS NULL OR r.type = p.type)
               AND (r.state IS NULL OR r.state = s.state)
               AND (r.replaced_at IS NULL OR r.replaced_at >= s.final_at)
               AND r.days > 0
               -- More days than the calendar has are without end; each day is 24 hours, whatever the session's zone.
               AND (r.days >= 3650000
                    OR CASE WHEN p.imported THEN s.ended_at ELSE greatest(s.ended_at, s.final_at) END
                       + r.days * interval '24 hours' > $23::timestamptz)))))
 ORDER BY p.id
 LIMIT $4::integer;
