-- Tokens that have not expired, by their principal and the order of issue.
--   $1 org text    $2 after what principal integer    $3 and after what version of its stream integer    $4 at most integer
--   $5 principal id integer or null    $6 credential uuid or null
-- Returns credential, principal_id, principal, version, issued_at, expires_at, is_login, label.
SELECT t.key AS credential, p.id AS principal_id, p.name AS principal, (t.value -> 'version')::integer AS version,
       (t.value ->> 'issued_at')::timestamptz AS issued_at, (t.value ->> 'expires_at')::timestamptz AS expires_at,
       (t.value -> 'is_login')::boolean AS is_login, t.value ->> 'label' AS label
  FROM principal AS p
 CROSS JOIN LATERAL jsonb_each(p.tokens) AS t
 WHERE p.org = (SELECT $1::text)
   AND p.gen = (SELECT (projections -> 'access' ->> 'gen')::integer FROM ledger_head WHERE org = (SELECT $1::text))
   AND p.id >= $2::integer
   AND (p.id > $2::integer OR (t.value -> 'version')::integer > $3::integer)
   AND ($5::integer IS NULL OR p.id = $5::integer)
   AND ($6::uuid IS NULL
        OR (t.key = $6::uuid::text
            AND p.id = (SELECT principal_id FROM credential WHERE org = (SELECT $1::text) AND id = $6::uuid)))
   AND coalesce((t.value ->> 'expires_at')::timestamptz > clock_timestamp(), true)
 ORDER BY p.id, version
 LIMIT $4::integer;
