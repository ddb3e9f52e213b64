-- The last job registered with a datastream, as far as the asker sees it.
--   $1 org text    $2 datastream id text    $3 domains text[] or null for all
-- Returns registration, course, decisions, private; no row where no such job was ever registered in those domains.
-- By the index of datastreams from its end, in whose order alone the bounds are written: by ids from the last, all jobs of an
-- org would be looked through for a datastream that it does not have.
WITH live AS MATERIALIZED (
  SELECT (projections -> 'jobs' ->> 'gen')::integer AS gen FROM ledger_head WHERE org = (SELECT $1::text)
)
SELECT registration, course, decisions, private
  FROM job
 WHERE datastream_id IS NOT NULL
   AND (datastream_id, org, gen, id) >= ($2::text, (SELECT $1::text), (SELECT gen FROM live), 0)
   AND (datastream_id, org, gen, id) <= ($2::text, (SELECT $1::text), (SELECT gen FROM live), 2147483647)
   AND ($3::text[] IS NULL OR domain = ANY ($3::text[]))
 ORDER BY datastream_id DESC, org DESC, gen DESC, id DESC
 LIMIT 1;
