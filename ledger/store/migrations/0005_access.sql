-- The projection "access" knows capabilities beyond roles, who is disabled, and which credentials count: those that the
-- events name and have not revoked, so that a row of credential alone lets nobody in.
ALTER TABLE principal
  ADD COLUMN capabilities text[] NOT NULL DEFAULT '{}',
  ADD COLUMN is_disabled boolean NOT NULL DEFAULT false,
  ADD COLUMN is_administrator boolean NOT NULL DEFAULT false,
  ADD COLUMN password uuid,
  ADD COLUMN tokens jsonb NOT NULL DEFAULT '{}'::jsonb,
  ADD COLUMN added_at timestamptz NOT NULL DEFAULT '-infinity',
  ADD CONSTRAINT principal_administrator_is_not_disabled CHECK (NOT (is_administrator AND is_disabled));
CREATE INDEX principal_administrator ON principal (org, gen, id) WHERE is_administrator;

-- What the fold makes of the events that there were before: each token issued, but for those that had expired when the
-- last was issued.
UPDATE principal AS p
   SET added_at = f.added_at, password = f.password, tokens = coalesce(f.tokens, '{}'::jsonb)
  FROM (SELECT org, id,
               min(recorded_at) AS added_at,
               (array_agg(data ->> 'credential' ORDER BY version DESC)
                 FILTER (WHERE type = 'principal.password_set'))[1]::uuid AS password,
               jsonb_object_agg(
                 data ->> 'credential',
                 jsonb_build_object(
                   'version', version,
                   'issued_at', to_char(recorded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
                   'expires_at', to_char(expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
                   'is_login', false,
                   'label', NULL))
                 FILTER (WHERE type = 'token.issued' AND (expires_at IS NULL OR expires_at > last_issued_at)) AS tokens
          FROM (SELECT o.org, o.id, e.version, e.type, e.recorded_at, c.data,
                       (c.data ->> 'expires_at')::timestamptz AS expires_at,
                       max(e.recorded_at) FILTER (WHERE e.type = 'token.issued') OVER (PARTITION BY o.org, o.id)
                         AS last_issued_at
                  FROM (SELECT DISTINCT org, id FROM principal) AS o
                  JOIN event AS e ON e.org = o.org AND e.stream = 'principal-' || o.id
                  JOIN LATERAL (
                       SELECT convert_from(body, 'UTF8')::json -> 'data' AS data
                         FROM content
                        WHERE org = e.org AND position = e.position) AS c ON true) AS told
         GROUP BY org, id) AS f
 WHERE p.org = f.org AND p.id = f.id;
UPDATE principal
   SET is_administrator = 'admin' = ANY (roles)
       AND (password IS NOT NULL OR jsonb_path_exists(tokens, '$.* ? (@.expires_at == null)'));
UPDATE ledger_head SET projections = jsonb_set(projections, '{access,fold}', '2') WHERE projections ? 'access';
