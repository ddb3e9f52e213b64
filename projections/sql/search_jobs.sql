-- Jobs of some domains that a search finds, in its order. As it is it finds all by their ids: ``JobSearch`` puts its own condition,
-- of known members and further parameters, and its own order in the places that are marked.
--   $1 org text    $2 domains text[] or null for all    $3 offset bigint    $4 limit integer
--   $5 words text, lower case, or null    $6 id integer or null: a job of that id is found by it too
-- Returns id, registration, course, decisions, private.
SELECT id, registration, course, decisions, private
  FROM job
 WHERE org = (SELECT $1::text)
   AND gen = (SELECT (projections -> 'jobs' ->> 'gen')::integer FROM ledger_head WHERE org = (SELECT $1::text))
   AND ($2::text[] IS NULL OR domain = ANY ($2::text[]))
   AND ($5::text IS NULL OR strpos(q, $5::text) > 0 OR id = $6::integer)
   AND true /* condition */
 ORDER BY org, gen, id /* order */
OFFSET $3::bigint
 LIMIT $4::integer;
