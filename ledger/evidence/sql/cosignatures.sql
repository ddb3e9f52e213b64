-- What countersigned a checkpoint, in the order in which it came.
--   $1 org text    $2 fork integer    $3 size bigint
-- Returns verifier_key, line.
SELECT verifier_key, line
  FROM cosignature
 WHERE org = (SELECT $1::text) AND fork = $2::integer AND size = $3::bigint
 ORDER BY number;
