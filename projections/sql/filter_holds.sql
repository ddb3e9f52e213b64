-- The active holds over filters.
--   $1 org text    $2 gen integer
-- Returns id.
SELECT id
  FROM hold
 WHERE org = (SELECT $1::text) AND gen = $2::integer AND filter IS NOT NULL AND released_at IS NULL
 ORDER BY id;
