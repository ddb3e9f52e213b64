-- Jobs of some domains that a search finds, in its order, and how many these are. As it is it finds all by their ids: ``JobSearch``
-- puts its own condition, of known members and further parameters, and its own rank in the places that are marked.
--   $1 org text    $2 domains text[] or null for all    $3 offset bigint    $4 limit integer
-- Returns count, id, registration, course, decisions, private; one row with no id where the page is empty.
WITH live AS MATERIALIZED (
  SELECT (projections -> 'jobs' ->> 'gen')::integer AS gen FROM ledger_head WHERE org = (SELECT $1::text)
), wanted AS MATERIALIZED (
  SELECT id, id /* rank */ AS place
    FROM job
   WHERE org = (SELECT $1::text)
     AND gen = (SELECT gen FROM live)
     AND ($2::text[] IS NULL OR domain = ANY ($2::text[]))
     AND true /* condition */
), page AS MATERIALIZED (
  SELECT id, row_number() OVER (ORDER BY place ASC /* direction */, id) AS number
    FROM wanted
   ORDER BY place ASC /* direction */, id
  OFFSET $3::bigint
   LIMIT $4::integer
)
SELECT total.count, shown.id, shown.registration, shown.course, shown.decisions, shown.private
  FROM (SELECT count(*) AS count FROM wanted) AS total
  LEFT JOIN LATERAL (
       SELECT page.number, job.id, job.registration, job.course, job.decisions, job.private
         FROM page
        CROSS JOIN LATERAL (
              SELECT id, registration, course, decisions, private
                FROM job
               WHERE org = (SELECT $1::text) AND gen = (SELECT gen FROM live) AND id = page.id
              OFFSET 0) AS job) AS shown
    ON true
 ORDER BY shown.number;
