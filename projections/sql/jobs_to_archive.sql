-- The next of an org's jobs by id, of so many looked at: those that have ended before an instant.
--   $1 org text    $2 after id integer    $3 how many are looked at integer    $4 ended before timestamptz    $5 type text or null
--   $6 domains text[] or null for all    $7 whether every row is wanted whole boolean: else only those of which something was decided
-- Returns id, version, registration, course, decisions, private, body_hash, final_at, imported of each; first, one row whose id is null
-- and whose version is the last id that was looked at, null where there was none.
WITH looked_at AS MATERIALIZED (
  SELECT id, version, state, type, domain, ended_at, registration, course, decisions, private, body_hash, final_at, imported
    FROM job
   WHERE org = (SELECT $1::text)
     AND gen = (SELECT (projections -> 'jobs' ->> 'gen')::integer FROM ledger_head WHERE org = (SELECT $1::text))
     AND id > $2::integer
   ORDER BY id
   LIMIT $3::integer
)
SELECT NULL::integer AS id, max(id) AS version, NULL AS registration, NULL AS course, NULL AS decisions, NULL AS private,
       NULL AS body_hash, NULL::timestamptz AS final_at, NULL::boolean AS imported
  FROM looked_at
 UNION ALL
(SELECT id, version,
       CASE WHEN $7::boolean OR decisions IS NOT NULL THEN registration END,
       CASE WHEN $7::boolean OR decisions IS NOT NULL THEN course END,
       decisions, CASE WHEN $7::boolean OR decisions IS NOT NULL THEN private END, body_hash, final_at, imported
  FROM looked_at
 WHERE ended_at < $4::timestamptz
   AND ($5::text IS NULL OR type = $5::text)
   AND ($6::text[] IS NULL OR domain = ANY ($6::text[]))
 ORDER BY id);
