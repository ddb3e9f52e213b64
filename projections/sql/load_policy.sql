-- The org as its row has it, and what its own stream says of its histories and keys.
--   $1 org text    $2 gen integer
-- Returns version, begun_at, policy, fork, public_key; the last two are null where nothing was said.
SELECT version, begun_at, policy,
       (SELECT (convert_from(c.body, 'UTF8')::json -> 'data' ->> 'fork')::integer
          FROM event AS e
          JOIN content AS c ON c.org = e.org AND c.position = e.position
         WHERE e.org = (SELECT $1::text) AND e.stream = 'org' AND e.type = 'org.forked'
         ORDER BY e.version DESC
         LIMIT 1) AS fork,
       (SELECT convert_from(c.body, 'UTF8')::json -> 'data' ->> 'public_key'
          FROM event AS e
          JOIN content AS c ON c.org = e.org AND c.position = e.position
         WHERE e.org = (SELECT $1::text) AND e.stream = 'org' AND e.type = 'org.key_changed'
         ORDER BY e.version DESC
         LIMIT 1) AS public_key
  FROM org_policy
 WHERE org = (SELECT $1::text) AND gen = $2::integer;
