-- The roots of full tiles of a level, one after another: what a tile of the next level is made of.
--   $1 org text    $2 fork integer    $3 level integer    $4 from number bigint, itself included    $5 before number bigint
-- Returns roots (32 bytes each; null where there is none), count.
SELECT string_agg(t.root, ''::bytea ORDER BY t.number) AS roots, count(*) AS count
  FROM tile AS t
 WHERE t.org = (SELECT $1::text)
   AND t.fork = $2::integer
   AND t.level = $3::integer
   AND t.number >= $4::bigint
   AND t.number < $5::bigint;
