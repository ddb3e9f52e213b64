-- A page of an org's rollups in the order of day, type, domain, state.
--   $1 org text    $2/$3 days from/to date, each may be null; from is included, to is not    $4 type text or null
--   $5 domain text or null    $6 states text[] or null    $7 domains that the asker sees text[] or null for all
--   $8/$9/$10/$11 the row to go on after: day date, type, domain, state text; null for the first page    $12 limit integer
-- Returns day, type, domain, state, jobs, timed_jobs, duration_ms, bytes, and durations: {"bucket": jobs} as json text, or null.
SELECT day, type, domain, state, jobs, timed_jobs, duration_ms, bytes,
       (SELECT json_object_agg(d.bucket, d.jobs)
          FROM rollup_duration AS d
         WHERE d.org = (SELECT $1::text) AND d.gen = r.gen AND d.day = r.day AND d.type = r.type AND d.domain = r.domain
           AND d.state = r.state)::text AS durations
  FROM rollup AS r
 WHERE org = (SELECT $1::text)
   AND gen = (SELECT (projections -> 'rollups' ->> 'gen')::integer FROM ledger_head WHERE org = (SELECT $1::text))
   AND ($2::date IS NULL OR day >= $2::date)
   AND ($3::date IS NULL OR day < $3::date)
   AND ($4::text IS NULL OR type = $4::text)
   AND ($5::text IS NULL OR domain = $5::text)
   AND ($6::text[] IS NULL OR state = ANY ($6::text[]))
   AND ($7::text[] IS NULL OR domain = ANY ($7::text[]))
   AND ($8::date IS NULL OR (day, type, domain, state) > ($8::date, $9::text, $10::text, $11::text))
 ORDER BY day, type, domain, state
 LIMIT $12::integer;
