-- Jobs that stood in one of some states at a position: the next by id, and how many there are in all, counted up to a limit. Where
-- there are not more, a list need look at no others. Rows of a level that hold the position begin within twice their shortest length
-- before it.
--   $1 org text    $2 position bigint    $3 states text[]    $4 counted up to integer    $5 after id integer    $6 limit integer
-- Returns id, found; at least one row, whose id is null where there is no next.
WITH stood AS MATERIALIZED (
  SELECT h.id
    FROM unnest($3::text[]) AS asked (state)
   CROSS JOIN generate_series(0, 63) AS l (level)
   CROSS JOIN LATERAL (
         SELECT id
           FROM job_history
          WHERE org = (SELECT $1::text)
            AND gen = (SELECT (projections -> 'job_history' ->> 'gen')::integer FROM ledger_head WHERE org = (SELECT $1::text))
            AND state = asked.state AND level = l.level
            AND from_position <= $2::bigint AND until_position > $2::bigint
            AND from_position > CASE WHEN l.level > 60 THEN -1 ELSE $2::bigint - (2::bigint << l.level) END
         OFFSET 0) AS h
   LIMIT $4::integer
)
SELECT following.id, counted.found
  FROM (SELECT count(*) AS found FROM stood) AS counted
  LEFT JOIN (SELECT id FROM stood WHERE id > $5::integer ORDER BY id LIMIT $6::integer) AS following ON true
 ORDER BY following.id;
