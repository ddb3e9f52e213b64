-- A numbered page of the jobs in some states that begin in a time, by id, and how many these are. Whole days are counted by
-- states and blocks of ids without looking at a job, the rest of the time by its index. Where few jobs lie in the time they are
-- then sorted; else only the blocks are looked through that the page lies in, by the index of states: what the planner thinks of
-- the time must not matter.
-- Each ORDER BY begins_at, id is there for it to take that index, also for an org that no statistics know yet.
--   $1 org text    $2 from timestamptz    $3 to timestamptz    $4 the first whole day date    $5 the day after the last date
--   $6/$7 the time before the whole days timestamptz    $8/$9 the time after them    $10 domains text[] or null for all
--   $11 direction integer, 1 or -1    $12 offset bigint    $13 limit integer    $14 how many jobs are few bigint
--   $15 states text[]    $16 the states of all jobs text[], null where $15 are these
-- From is included, to is not; of no whole days, or no time before or after them, from equals to.
-- Returns count, id, registration, course, decisions, private; one row with no id where the page is empty.
WITH live AS MATERIALIZED (
  SELECT (projections -> 'jobs' ->> 'gen')::integer AS gen FROM ledger_head WHERE org = (SELECT $1::text)
), counted AS MATERIALIZED (
  SELECT block, sum(jobs)::bigint AS jobs
    FROM (SELECT block, jobs
            FROM job_count
           WHERE org = (SELECT $1::text) AND gen = (SELECT gen FROM live) AND state = ANY ($15::text[])
             AND day >= $4::date AND day < $5::date
             AND ($10::text[] IS NULL OR domain = ANY ($10::text[]))
          UNION ALL
          SELECT id >> 12, 1
            FROM (SELECT id
                    FROM job
                   WHERE org = (SELECT $1::text) AND gen = (SELECT gen FROM live)
                     AND begins_at >= $6::timestamptz AND begins_at < $7::timestamptz
                     AND ($16::text[] IS NULL OR state = ANY ($15::text[]))
                     AND ($10::text[] IS NULL OR domain = ANY ($10::text[]))
                   ORDER BY begins_at, id
                  OFFSET 0) AS edge_before
          UNION ALL
          SELECT id >> 12, 1
            FROM (SELECT id
                    FROM job
                   WHERE org = (SELECT $1::text) AND gen = (SELECT gen FROM live)
                     AND begins_at >= $8::timestamptz AND begins_at < $9::timestamptz
                     AND ($16::text[] IS NULL OR state = ANY ($15::text[]))
                     AND ($10::text[] IS NULL OR domain = ANY ($10::text[]))
                   ORDER BY begins_at, id
                  OFFSET 0) AS edge_after) AS part
   GROUP BY block
), placed AS (
  SELECT block, jobs, sum(jobs) OVER (ORDER BY block * $11::integer) - jobs AS jobs_before FROM counted WHERE jobs > 0
), total AS MATERIALIZED (
  SELECT coalesce(sum(jobs), 0)::bigint AS count FROM counted
), chosen AS MATERIALIZED (
  SELECT CASE
         WHEN total.count > $14::bigint THEN false
         WHEN $16::text[] IS NULL THEN true
         -- Few in these states may be many in the time.
         ELSE (SELECT coalesce(sum(jobs), 0)
                 FROM job_count
                WHERE org = (SELECT $1::text) AND gen = (SELECT gen FROM live) AND state = ANY ($16::text[])
                  AND day >= ($2::timestamptz AT TIME ZONE 'UTC')::date AND day <= ($3::timestamptz AT TIME ZONE 'UTC')::date
                  AND ($10::text[] IS NULL OR domain = ANY ($10::text[]))) <= 2 * $14::bigint
         END AS are_few
    FROM total
)
SELECT total.count, page.id, page.registration, page.course, page.decisions, page.private
  FROM total
  LEFT JOIN LATERAL (
       SELECT job.id, job.registration, job.course, job.decisions, job.private
         FROM ((SELECT id
                 FROM (SELECT id
                         FROM job
                        WHERE org = (SELECT $1::text) AND gen = (SELECT gen FROM live)
                          AND begins_at >= $2::timestamptz AND begins_at < $3::timestamptz
                          AND ($16::text[] IS NULL OR state = ANY ($15::text[]))
                          AND ($10::text[] IS NULL OR domain = ANY ($10::text[]))
                        ORDER BY begins_at, id
                       OFFSET 0) AS few
                WHERE (SELECT are_few FROM chosen)
                ORDER BY id * $11::integer
               OFFSET $12::bigint
                LIMIT $13::integer)
               UNION ALL
               (SELECT found.id
                 FROM placed
                CROSS JOIN LATERAL (
                      SELECT id
                        FROM unnest($15::text[]) AS wanted (state)
                       CROSS JOIN LATERAL (
                             SELECT id, begins_at, domain
                               FROM job
                              WHERE state = wanted.state AND org = (SELECT $1::text) AND gen = (SELECT gen FROM live)
                                AND id BETWEEN placed.block << 12 AND (placed.block << 12) + 4095
                             OFFSET 0) AS block
                       WHERE begins_at >= $2::timestamptz AND begins_at < $3::timestamptz
                         AND ($10::text[] IS NULL OR domain = ANY ($10::text[]))
                       ORDER BY id * $11::integer
                      OFFSET greatest($12::bigint - placed.jobs_before, 0)
                       LIMIT $13::integer) AS found
                WHERE NOT (SELECT are_few FROM chosen)
                  AND placed.jobs_before < $12::bigint + $13::integer
                  AND placed.jobs_before + placed.jobs > $12::bigint
                ORDER BY found.id * $11::integer
                LIMIT $13::integer)) AS wanted
        CROSS JOIN LATERAL (
              SELECT id, registration, course, decisions, private
                FROM job
               WHERE org = (SELECT $1::text) AND gen = (SELECT gen FROM live) AND id = wanted.id
              OFFSET 0) AS job) AS page
    ON true
 ORDER BY page.id * $11::integer;
