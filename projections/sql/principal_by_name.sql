-- A principal and the hash of its password.
--   $1 org text    $2 name text
-- Returns id, name, roles, capabilities, home_domain, domains, is_disabled, credential, hash; the last two are null where it has
-- no password.
SELECT p.id, p.name, p.roles, p.capabilities, p.home_domain, p.domains, p.is_disabled, p.password AS credential, c.hash
  FROM principal AS p
  LEFT JOIN credential AS c
    ON c.org = (SELECT $1::text)
   AND c.id = p.password
   AND c.kind = 'password'
 WHERE p.org = (SELECT $1::text)
   AND p.gen = (SELECT (projections -> 'access' ->> 'gen')::integer FROM ledger_head WHERE org = (SELECT $1::text))
   AND p.name = $2::text;
