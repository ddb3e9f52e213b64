-- The newest checkpoint of an org.
--   $1 org text
-- Returns note, signed_at.
SELECT note, signed_at
  FROM checkpoint
 WHERE org = (SELECT $1::text)
 ORDER BY fork DESC, size DESC
 LIMIT 1;
