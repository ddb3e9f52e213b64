-- What another policy would do to the jobs of a range of ids.
--   $1 org text    $2 after what id bigint    $3 up to what id bigint    $4/$5 the rules that count by the policy as it is, and as
--   it would be: json text, [{"type", "state", "basic_days", "extended_days", "replaced_at"}]    $6 at what instant timestamptz
--   $7 types text[] whose jobs that have not ended may get fewer days    $8 whether those of all other types do boolean
--   $9 all types named in a rule text[]    $10 how many ids integer
-- Returns effect text ('lengthens', 'releases', 'shortens'), job_count bigint, ids integer[].
WITH live AS MATERIALIZED (
  SELECT (projections -> 'jobs' ->> 'gen')::integer AS gen FROM ledger_head WHERE org = (SELECT $1::text)
), before AS MATERIALIZED (
  SELECT type, state, greatest(basic_days, extended_days) AS days, replaced_at
    FROM json_to_recordset($4::json)
      AS w (type text, state text, basic_days integer, extended_days integer, replaced_at timestamptz)
), after AS MATERIALIZED (
  SELECT type, state, greatest(basic_days, extended_days) AS days, replaced_at
    FROM json_to_recordset($5::json)
      AS w (type text, state text, basic_days integer, extended_days integer, replaced_at timestamptz)
), ended AS (
  SELECT id, CASE WHEN imported THEN ended_at ELSE greatest(ended_at, final_at) END AS counted_from,
         (SELECT coalesce(max(days), 0) FROM before AS w
           WHERE (w.type IS NULL OR w.type = job.type) AND (w.state IS NULL OR w.state = job.state)
             AND (w.replaced_at IS NULL OR w.replaced_at >= job.final_at)) AS days_before,
         (SELECT coalesce(max(days), 0) FROM after AS w
           WHERE (w.type IS NULL OR w.type = job.type) AND (w.state IS NULL OR w.state = job.state)
             AND (w.replaced_at IS NULL OR w.replaced_at >= job.final_at)) AS days_after
    FROM job
   WHERE org = (SELECT $1::text) AND gen = (SELECT gen FROM live) AND id > $2::bigint AND id <= $3::bigint
     AND final_at IS NOT NULL
), told AS (
  SELECT id,
         CASE WHEN days_after > days_before
               AND (days_after >= 3650000 OR counted_from + days_after * interval '24 hours' > $6::timestamptz) THEN 'lengthens'
              WHEN days_after < days_before
               AND (days_before >= 3650000 OR counted_from + days_before * interval '24 hours' > $6::timestamptz)
               AND days_after < 3650000 AND counted_from + days_after * interval '24 hours' <= $6::timestamptz THEN 'releases'
         END AS effect
    FROM ended
  UNION ALL
  SELECT id, 'shortens'
    FROM job
   WHERE org = (SELECT $1::text) AND gen = (SELECT gen FROM live) AND id > $2::bigint AND id <= $3::bigint
     AND final_at IS NULL
     AND (type = ANY ($7::text[]) OR ($8::boolean AND type <> ALL ($9::text[])))
)
SELECT effect, count(*) AS job_count, (array_agg(id ORDER BY id))[1:$10::integer] AS ids
  FROM told
 WHERE effect IS NOT NULL
 GROUP BY effect;
