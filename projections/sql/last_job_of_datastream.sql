-- The last job registered with a datastream, as far as the asker sees it.
--   $1 org text    $2 datastream id text    $3 domains text[] or null for all
-- Returns registration, course; no row where no such job was ever registered in those domains.
SELECT registration, course
  FROM job
 WHERE org = (SELECT $1::text)
   AND gen = (SELECT (projections -> 'jobs' ->> 'gen')::integer FROM ledger_head WHERE org = (SELECT $1::text))
   AND datastream_id = $2::text
   AND ($3::text[] IS NULL OR domain = ANY ($3::text[]))
 ORDER BY id DESC
 LIMIT 1;
