-- The first checkpoint of an org's newest history that covers so many events.
--   $1 org text    $2 size bigint
-- Returns note, public_key.
SELECT note, public_key
  FROM checkpoint
 WHERE org = (SELECT $1::text)
   AND fork = (SELECT max(fork) FROM checkpoint WHERE org = $1::text)
   AND size >= $2::bigint
 ORDER BY size
 LIMIT 1;
