-- A numbered page of an org's jobs, and how many a filter lets through. Planned anew for each request, as list_jobs.
--   $1 org text    $2 state text    $3 states text[]    $4 datastream id text    $5 from timestamptz    $6 to timestamptz
--   $7 domains text[]    $8 whether by when they begin boolean, else by id    $9 direction integer, 1 or -1
--   $10 offset bigint    $11 limit integer
-- $2 to $7 may be null. From is included, to is not: when a job begins.
-- Returns count, id, registration, course; one row with no id where the page is empty.
WITH live AS MATERIALIZED (
  SELECT (projections -> 'jobs' ->> 'gen')::integer AS gen FROM ledger_head WHERE org = (SELECT $1::text)
), wanted AS MATERIALIZED (
  SELECT id, CASE WHEN $8::boolean THEN (begins_at - '2000-01-01 00:00:00+00'::timestamptz) * $9::integer END AS place
    FROM job
   WHERE org = (SELECT $1::text)
     AND gen = (SELECT gen FROM live)
     AND ($2::text IS NULL OR state = $2::text)
     AND ($3::text[] IS NULL OR state = ANY ($3::text[]))
     AND ($4::text IS NULL OR datastream_id = $4::text)
     AND ($5::timestamptz IS NULL OR begins_at >= $5::timestamptz)
     AND ($6::timestamptz IS NULL OR begins_at < $6::timestamptz)
     AND ($7::text[] IS NULL OR domain = ANY ($7::text[]))
)
SELECT total.count, page.id, page.registration, page.course
  FROM (SELECT count(*) AS count FROM wanted) AS total
  LEFT JOIN LATERAL (
       SELECT shown.place, job.id, job.registration, job.course
         FROM (SELECT id, place
                 FROM wanted
                ORDER BY place, id * $9::integer
               OFFSET $10::bigint
                LIMIT $11::integer) AS shown
        CROSS JOIN LATERAL (
              SELECT id, registration, course
                FROM job
               WHERE org = (SELECT $1::text) AND gen = (SELECT gen FROM live) AND id = shown.id
              OFFSET 0) AS job) AS page
    ON true
 ORDER BY page.place, page.id * $9::integer;
