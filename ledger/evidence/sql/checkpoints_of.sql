-- Checkpoints of an org's history by size.
--   $1 org text    $2 fork integer    $3 beyond size bigint    $4 limit integer
-- Returns size, root, note, public_key.
SELECT size, root, note, public_key
  FROM checkpoint
 WHERE org = (SELECT $1::text) AND fork = $2::integer AND size > $3::bigint
 ORDER BY size
 LIMIT $4::integer;
