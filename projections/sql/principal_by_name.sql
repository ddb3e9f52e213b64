-- A principal and the hash of its password; of several passwords the newest.
--   $1 org text    $2 name text
-- Returns id, roles, home_domain, domains, hash; hash is null where it has no password.
SELECT p.id, p.roles, p.home_domain, p.domains,
       (SELECT c.hash
          FROM credential AS c
         WHERE c.org = (SELECT $1::text) AND c.principal_id = p.id AND c.kind = 'password'
         ORDER BY c.created_at DESC
         LIMIT 1) AS hash
  FROM principal AS p
 WHERE p.org = (SELECT $1::text)
   AND p.gen = (SELECT (projections -> 'access' ->> 'gen')::integer FROM ledger_head WHERE org = (SELECT $1::text))
   AND p.name = $2::text;
