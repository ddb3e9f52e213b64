-- What an org's own stream says of its histories and keys.
--   $1 org text
-- Returns position, type, body.
SELECT e.position, e.type, c.body
  FROM event AS e
  JOIN content AS c ON c.org = e.org AND c.position = e.position
 WHERE e.org = (SELECT $1::text)
   AND e.stream = 'org'
   AND e.type IN ('org.forked', 'org.key_changed')
 ORDER BY e.version;
