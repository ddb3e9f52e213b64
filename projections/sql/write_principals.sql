-- Rows of principals that a batch changed, each once.
--   $1 org text    $2 gen integer    $3 ids integer[]    $4 versions integer[]    $5 names text[]
--   $6 grants json[], each {"roles", "home_domain", "domains"}: arrays of arrays must be of one length
INSERT INTO principal (org, gen, id, version, name, roles, home_domain, domains)
SELECT $1::text, $2::integer, r.id, r.version, r.name,
       ARRAY(SELECT json_array_elements_text(r.grants -> 'roles')),
       r.grants ->> 'home_domain',
       CASE json_typeof(r.grants -> 'domains')
         WHEN 'array' THEN ARRAY(SELECT json_array_elements_text(r.grants -> 'domains'))
       END
  FROM unnest($3::integer[], $4::integer[], $5::text[], $6::json[]) AS r (id, version, name, grants)
    ON CONFLICT (org, gen, id)
    DO UPDATE SET version = EXCLUDED.version, roles = EXCLUDED.roles, home_domain = EXCLUDED.home_domain,
                  domains = EXCLUDED.domains
