-- Whose tokens these are, where their events say that they count and they have not expired by the database's clock.
--   $1 orgs text[]    $2 SHA-256 of the tokens bytea[]
-- Returns org, hash, id, name, roles, capabilities, home_domain, domains, credential; valid_s, for how many seconds it counts, null
-- for ever; access_at, when the org's access was last changed, all as of one snapshot.
-- LATERAL with OFFSET 0: one lookup for each by its key, also where the planner knows nothing yet of the tables.
SELECT asked.org, asked.hash, p.id, p.name, p.roles, p.capabilities, p.home_domain, p.domains, c.id AS credential,
       extract(epoch FROM c.expires_at - clock_timestamp())::float8 AS valid_s, h.access_at
  FROM unnest($1::text[], $2::bytea[]) AS asked (org, hash)
 CROSS JOIN LATERAL (
       SELECT id, principal_id, expires_at
         FROM credential
        WHERE org = asked.org
          AND kind = 'token'
          AND hash = asked.hash
          AND (expires_at IS NULL OR expires_at > clock_timestamp())
       OFFSET 0) AS c
 CROSS JOIN LATERAL (
       SELECT (projections -> 'access' ->> 'gen')::integer AS gen, coalesce((numbers ->> 'access_at')::bigint, 0) AS access_at
         FROM ledger_head
        WHERE org = asked.org
       OFFSET 0) AS h
 CROSS JOIN LATERAL (
       SELECT id, name, roles, capabilities, home_domain, domains, tokens, is_disabled
         FROM principal
        WHERE org = asked.org
          AND gen = h.gen
          AND id = c.principal_id
       OFFSET 0) AS p
 WHERE p.tokens ? c.id::text
   AND NOT p.is_disabled;
