-- The first checkpoint of one of an org's histories, the newest where none is named, that covers so many events.
--   $1 org text    $2 size bigint    $3 fork integer or null
-- Returns note, public_key.
SELECT note, public_key
  FROM checkpoint
 WHERE org = (SELECT $1::text)
   AND fork = coalesce($3::integer, (SELECT max(fork) FROM checkpoint WHERE org = $1::text))
   AND size >= $2::bigint
 ORDER BY size
 LIMIT 1;
