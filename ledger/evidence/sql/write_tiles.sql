-- Write full tiles.
--   $1 org text    $2 fork integer    $3 levels integer[]    $4 numbers bigint[]    $5 hashes bytea[]    $6 roots bytea[]
INSERT INTO tile (org, fork, level, number, hashes, root)
SELECT $1::text, $2::integer, it.level, it.number, it.hashes, it.root
  FROM unnest($3::integer[], $4::bigint[], $5::bytea[], $6::bytea[]) AS it (level, number, hashes, root);
