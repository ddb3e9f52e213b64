-- The time stamps of a checkpoint, in the order in which they came.
--   $1 org text    $2 fork integer    $3 size bigint
-- Returns token, stamped_at, covers.
SELECT token, stamped_at, covers
  FROM checkpoint_timestamp
 WHERE org = (SELECT $1::text) AND fork = $2::integer AND size = $3::bigint
 ORDER BY number;
