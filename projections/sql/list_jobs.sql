-- A page of an org's jobs by id. Planned anew for each request (the reader's plan_cache_mode), so that a filter that is
-- null costs nothing and one that is not finds its index.
--   $1 org text    $2 after id integer    $3 limit integer    $4 domains text[] or null    $5 state text    $6 states text[]
--   $7 type text    $8 domain text    $9 datastream id text    $10 source text    $11 external id text
--   $12/$13 scheduled_at from/to timestamptz    $14/$15 started_at from/to    $16/$17 ended_at from/to    $18 q text, lower case
-- Each but the first three may be null. From is included, to is not.
-- Returns id, registration, course, decisions, private.
SELECT id, registration, course, decisions, private
  FROM job
 WHERE org = (SELECT $1::text)
   AND gen = (SELECT (projections -> 'jobs' ->> 'gen')::integer FROM ledger_head WHERE org = (SELECT $1::text))
   AND id > $2::integer
   AND ($4::text[] IS NULL OR domain = ANY ($4::text[]))
   AND ($5::text IS NULL OR state = $5::text)
   AND ($6::text[] IS NULL OR state = ANY ($6::text[]))
   AND ($7::text IS NULL OR type = $7::text)
   AND ($8::text IS NULL OR domain = $8::text)
   AND ($9::text IS NULL OR datastream_id = $9::text)
   AND ($10::text IS NULL OR source = $10::text)
   AND ($11::text IS NULL OR external_id = $11::text)
   AND ($12::timestamptz IS NULL OR scheduled_at >= $12::timestamptz)
   AND ($13::timestamptz IS NULL OR scheduled_at < $13::timestamptz)
   AND ($14::timestamptz IS NULL OR started_at >= $14::timestamptz)
   AND ($15::timestamptz IS NULL OR started_at < $15::timestamptz)
   AND ($16::timestamptz IS NULL OR ended_at >= $16::timestamptz)
   AND ($17::timestamptz IS NULL OR ended_at < $17::timestamptz)
   AND ($18::text IS NULL OR strpos(q, $18::text) > 0)
 ORDER BY id
 LIMIT $3::integer;
