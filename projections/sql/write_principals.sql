-- Rows of principals that a batch changed, each once.
--   $1 org text    $2 gen integer    $3 ids integer[]    $4 versions integer[]    $5 names text[]
--   $6 grants json[], each {"roles", "capabilities", "home_domain", "domains"}: arrays of arrays must be of one length
--   $7 are disabled boolean[]    $8 are administrators boolean[]    $9 passwords uuid[]    $10 tokens jsonb[]
--   $11 added_at timestamptz[]
INSERT INTO principal (org, gen, id, version, name, roles, capabilities, home_domain, domains, is_disabled,
                       is_administrator, password, tokens, added_at)
SELECT $1::text, $2::integer, r.id, r.version, r.name,
       ARRAY(SELECT json_array_elements_text(r.grants -> 'roles')),
       ARRAY(SELECT json_array_elements_text(r.grants -> 'capabilities')),
       r.grants ->> 'home_domain',
       CASE json_typeof(r.grants -> 'domains')
         WHEN 'array' THEN ARRAY(SELECT json_array_elements_text(r.grants -> 'domains'))
       END,
       r.is_disabled, r.is_administrator, r.password, r.tokens, r.added_at
  FROM unnest($3::integer[], $4::integer[], $5::text[], $6::json[], $7::boolean[], $8::boolean[], $9::uuid[], $10::jsonb[],
              $11::timestamptz[])
    AS r (id, version, name, grants, is_disabled, is_administrator, password, tokens, added_at)
    ON CONFLICT (org, gen, id)
    DO UPDATE SET version = EXCLUDED.version, roles = EXCLUDED.roles, capabilities = EXCLUDED.capabilities,
                  home_domain = EXCLUDED.home_domain, domains = EXCLUDED.domains, is_disabled = EXCLUDED.is_disabled,
                  is_administrator = EXCLUDED.is_administrator, password = EXCLUDED.password, tokens = EXCLUDED.tokens
