-- Jobs that stood in one of some states at a position, up to so many, in no order: where there are not more, a list need look at no
-- others. Rows of a level that hold the position begin within twice their shortest length before it.
--   $1 org text    $2 position bigint    $3 states text[]    $4 at most integer
-- Returns id.
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
 LIMIT $4::integer;
