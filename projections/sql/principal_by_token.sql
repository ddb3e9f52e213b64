-- Whose token this is, if it has not expired by the database's clock.
--   $1 org text    $2 SHA-256 of the token bytea
-- Returns id, roles, home_domain, domains.
SELECT p.id, p.roles, p.home_domain, p.domains
  FROM credential AS c
  JOIN principal AS p
    ON p.org = (SELECT $1::text)
   AND p.gen = (SELECT (projections -> 'access' ->> 'gen')::integer FROM ledger_head WHERE org = (SELECT $1::text))
   AND p.id = c.principal_id
 WHERE c.org = (SELECT $1::text)
   AND c.kind = 'token'
   AND c.hash = $2::bytea
   AND (c.expires_at IS NULL OR c.expires_at > clock_timestamp());
