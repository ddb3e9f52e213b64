-- Principals of an org by id.
--   $1 org text    $2 after what id bigint    $3 at most integer    $4 id integer or null    $5 name text or null
-- Returns id, version, name, roles, capabilities, home_domain, domains, is_disabled, has_password, token_count (those that have
-- not expired), added_at.
SELECT id, version, name, roles, capabilities, home_domain, domains, is_disabled, password IS NOT NULL AS has_password,
       (SELECT count(*)
          FROM jsonb_each(tokens) AS t
         WHERE coalesce((t.value ->> 'expires_at')::timestamptz > clock_timestamp(), true)) AS token_count,
       added_at
  FROM principal
 WHERE org = (SELECT $1::text)
   AND gen = (SELECT (projections -> 'access' ->> 'gen')::integer FROM ledger_head WHERE org = (SELECT $1::text))
   AND id > $2::bigint
   AND ($4::integer IS NULL OR id = $4::integer)
   AND ($5::text IS NULL OR name = $5::text)
 ORDER BY org, gen, id
 LIMIT $3::integer;
