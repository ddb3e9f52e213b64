-- One job, and what is said of how long jobs are kept.
--   $1 org text    $2 id integer    $3 domains text[] or null for all
-- Returns id, version, registration, course, decisions, private, body_hash, final_at, imported; policy, filter_holds, now as
-- keeping. No row where there is no such job in those domains.
WITH live AS MATERIALIZED (
  SELECT (projections -> 'jobs' ->> 'gen')::integer AS jobs, (projections -> 'policy' ->> 'gen')::integer AS policy,
         (projections -> 'holds' ->> 'gen')::integer AS holds, recorded_at
    FROM ledger_head
   WHERE org = (SELECT $1::text)
)
SELECT id, version, registration, course, decisions, private, body_hash, final_at, imported,
       (SELECT policy FROM org_policy WHERE org = (SELECT $1::text) AND gen = (SELECT policy FROM live)) AS policy,
       (SELECT json_agg(json_build_object('id', id, 'name', name, 'filter', filter::json) ORDER BY id)
          FROM hold
         WHERE org = (SELECT $1::text) AND gen = (SELECT holds FROM live)
           AND filter IS NOT NULL AND released_at IS NULL)::text AS filter_holds,
       (SELECT greatest(recorded_at, clock_timestamp()) FROM live) AS now
  FROM job
 WHERE org = (SELECT $1::text)
   AND gen = (SELECT jobs FROM live)
   AND id = $2::integer
   AND ($3::text[] IS NULL OR domain = ANY ($3::text[]));
