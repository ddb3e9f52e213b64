-- How many full tiles of leaves an org's history has.
--   $1 org text    $2 fork integer
SELECT coalesce(max(number) + 1, 0)
  FROM tile
 WHERE org = (SELECT $1::text) AND fork = $2::integer AND level = 0;
