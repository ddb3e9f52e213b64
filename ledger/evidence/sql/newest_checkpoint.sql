-- The newest checkpoint of an org.
--   $1 org text
-- Returns note, public_key.
SELECT note, public_key
  FROM checkpoint
 WHERE org = (SELECT $1::text)
 ORDER BY fork DESC, size DESC
 LIMIT 1;
