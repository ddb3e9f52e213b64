-- Schedules of an org by number, with the name of who created each.
--   $1 org text    $2 after what number bigint    $3 at most integer    $4 id uuid or null    $5 kind text or null
--   $6 active boolean or null    $7 deleted boolean or null
-- Returns id, version, number, expression, action, created_by, created_at, next_at, paused_at, deleted_at, last_due_at,
-- last_executed_at, last_job_id, fires, missed, creator.
SELECT s.id, s.version, s.number, s.expression, s.action, s.created_by, s.created_at, s.next_at, s.paused_at, s.deleted_at,
       s.last_due_at, s.last_executed_at, s.last_job_id, s.fires, s.missed, coalesce(p.name, s.created_by) AS creator
  FROM ledger_head AS h
  JOIN schedule AS s
    ON s.org = h.org AND s.gen = (h.projections -> 'schedules' ->> 'gen')::integer
  LEFT JOIN principal AS p
    ON p.org = h.org AND p.gen = (h.projections -> 'access' ->> 'gen')::integer
   AND p.id = substring(s.created_by FROM '^principal-([0-9]+)$')::integer
 WHERE h.org = (SELECT $1::text)
   AND s.number > $2::bigint
   AND ($4::uuid IS NULL OR s.id = $4::uuid)
   AND ($5::text IS NULL OR s.kind = $5::text)
   AND ($6::boolean IS NULL OR (s.paused_at IS NULL) = $6::boolean)
   AND ($7::boolean IS NULL OR (s.deleted_at IS NOT NULL) = $7::boolean)
 ORDER BY s.number
 LIMIT $3::integer;
