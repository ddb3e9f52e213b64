-- A numbered page of the jobs in some states that begin in a time, by that time, and how many these are. Whole days are counted
-- without looking at a job, the rest of the time by its index; along that index the page is looked for from the beginning of the
-- day that it begins on, or from its end where the latest come first.
--   $1 org text    $2 from timestamptz    $3 to timestamptz    $4 the first whole day date    $5 the day after the last date
--   $6/$7 the time before the whole days timestamptz    $8/$9 the time after them    $10 domains text[] or null for all
--   $11 direction integer, 1 or -1    $12 offset bigint    $13 limit integer    $14 states text[]
-- From is included, to is not; of no whole days, or no time before or after them, from equals to.
-- Returns count, id, registration, course, decisions, private; one row with no id where the page is empty.
WITH live AS MATERIALIZED (
  SELECT (projections -> 'jobs' ->> 'gen')::integer AS gen FROM ledger_head WHERE org = (SELECT $1::text)
), counted AS MATERIALIZED (
  SELECT day::timestamp AT TIME ZONE 'UTC' AS begins, (day + 1)::timestamp AT TIME ZONE 'UTC' AS ends, sum(jobs)::bigint AS jobs
    FROM job_count
   WHERE org = (SELECT $1::text) AND gen = (SELECT gen FROM live) AND state = ANY ($14::text[])
     AND day >= $4::date AND day < $5::date
     AND ($10::text[] IS NULL OR domain = ANY ($10::text[]))
   GROUP BY day
  UNION ALL
  SELECT $6::timestamptz, $7::timestamptz, count(*)
    FROM (SELECT id
            FROM job
           WHERE org = (SELECT $1::text) AND gen = (SELECT gen FROM live)
             AND begins_at >= $6::timestamptz AND begins_at < $7::timestamptz
             AND state = ANY ($14::text[])
             AND ($10::text[] IS NULL OR domain = ANY ($10::text[]))
           ORDER BY begins_at, id
          OFFSET 0) AS edge_before
  UNION ALL
  SELECT $8::timestamptz, $9::timestamptz, count(*)
    FROM (SELECT id
            FROM job
           WHERE org = (SELECT $1::text) AND gen = (SELECT gen FROM live)
             AND begins_at >= $8::timestamptz AND begins_at < $9::timestamptz
             AND state = ANY ($14::text[])
             AND ($10::text[] IS NULL OR domain = ANY ($10::text[]))
           ORDER BY begins_at, id
          OFFSET 0) AS edge_after
), first AS MATERIALIZED (
  SELECT begins, ends, $12::bigint - jobs_before AS jobs_left
    FROM (SELECT begins, ends, jobs, sum(jobs) OVER (ORDER BY extract(epoch FROM begins) * $11::integer) - jobs AS jobs_before
            FROM counted) AS placed
   WHERE jobs_before <= $12::bigint AND jobs_before + jobs > $12::bigint
)
SELECT total.count, page.id, page.registration, page.course, page.decisions, page.private
  FROM (SELECT coalesce(sum(jobs), 0)::bigint AS count FROM counted) AS total
  LEFT JOIN LATERAL (
       SELECT wanted.begins_at, job.id, job.registration, job.course, job.decisions, job.private
         FROM ((SELECT id, begins_at
                 FROM job
                WHERE $11::integer > 0
                  AND org = (SELECT $1::text) AND gen = (SELECT gen FROM live)
                  AND begins_at >= (SELECT begins FROM first) AND begins_at < $3::timestamptz
                  AND state = ANY ($14::text[])
                  AND ($10::text[] IS NULL OR domain = ANY ($10::text[]))
                ORDER BY begins_at, id
               OFFSET (SELECT jobs_left FROM first)
                LIMIT $13::integer)
               UNION ALL
               (SELECT id, begins_at
                 FROM job
                WHERE $11::integer < 0
                  AND org = (SELECT $1::text) AND gen = (SELECT gen FROM live)
                  AND begins_at < (SELECT ends FROM first) AND begins_at >= $2::timestamptz
                  AND state = ANY ($14::text[])
                  AND ($10::text[] IS NULL OR domain = ANY ($10::text[]))
                ORDER BY begins_at DESC, id DESC
               OFFSET (SELECT jobs_left FROM first)
                LIMIT $13::integer)) AS wanted
        CROSS JOIN LATERAL (
              SELECT id, registration, course, decisions, private
                FROM job
               WHERE org = (SELECT $1::text) AND gen = (SELECT gen FROM live) AND id = wanted.id
              OFFSET 0) AS job) AS page
    ON true
 ORDER BY extract(epoch FROM page.begins_at) * $11::integer, page.id * $11::integer;
