-- Full tiles.
--   $1 org text    $2 fork integer    $3 levels integer[]    $4 numbers bigint[]
-- Returns level, number, hashes.
SELECT t.level, t.number, t.hashes
  FROM unnest($3::integer[], $4::bigint[]) AS wanted (level, number)
  JOIN tile AS t ON t.org = $1::text AND t.fork = $2::integer AND t.level = wanted.level AND t.number = wanted.number;
