-- Principals, each with the hash of its password.
--   $1 orgs text[]    $2 names text[]
-- Returns org, name, id, roles, capabilities, home_domain, domains, is_disabled, credential, hash, which are null where it has
-- no password; access_at, when the org's access was last changed, all as of one snapshot.
-- LATERAL with OFFSET 0: one lookup for each by its key, also where the planner knows nothing yet of the tables.
SELECT asked.org, asked.name, p.id, p.roles, p.capabilities, p.home_domain, p.domains, p.is_disabled, p.password AS credential, c.hash, h.access_at
  FROM unnest($1::text[], $2::text[]) AS asked (org, name)
 CROSS JOIN LATERAL (
       SELECT (projections -> 'access' ->> 'gen')::integer AS gen, coalesce((numbers ->> 'access_at')::bigint, 0) AS access_at
         FROM ledger_head
        WHERE org = asked.org
       OFFSET 0) AS h
 CROSS JOIN LATERAL (
       SELECT id, roles, capabilities, home_domain, domains, is_disabled, password
         FROM principal
        WHERE org = asked.org
          AND gen = h.gen
          AND name = asked.name
       OFFSET 0) AS p
  LEFT JOIN LATERAL (SELECT hash FROM credential WHERE org = asked.org AND id = p.password AND kind = 'password' OFFSET 0) AS c
    ON true;
