-- Principals as their rows have them.
--   $1 org text    $2 gen integer    $3 ids integer[]
-- Returns id, version, name, roles, capabilities, home_domain, domains, is_disabled, password, tokens, added_at.
SELECT id, version, name, roles, capabilities, home_domain, domains, is_disabled, password, tokens, added_at
  FROM principal
 WHERE org = $1::text AND gen = $2::integer AND id = ANY ($3::integer[]);
