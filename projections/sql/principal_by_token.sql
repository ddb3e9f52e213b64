-- Whose token this is, if its events say that it counts and it has not expired by the database's clock.
--   $1 org text    $2 SHA-256 of the token bytea
-- Returns id, name, roles, capabilities, home_domain, domains, credential.
SELECT p.id, p.name, p.roles, p.capabilities, p.home_domain, p.domains, c.id AS credential
  FROM credential AS c
  JOIN principal AS p
    ON p.org = (SELECT $1::text)
   AND p.gen = (SELECT (projections -> 'access' ->> 'gen')::integer FROM ledger_head WHERE org = (SELECT $1::text))
   AND p.id = c.principal_id
 WHERE c.org = (SELECT $1::text)
   AND c.kind = 'token'
   AND c.hash = $2::bytea
   AND (c.expires_at IS NULL OR c.expires_at > clock_timestamp())
   AND p.tokens ? c.id::text
   AND NOT p.is_disabled;
