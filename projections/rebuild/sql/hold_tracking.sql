-- How far the rows of a generation have come, locked until the end of the transaction.
--   $1 org text    $2 gen integer    $3 projection text
-- Returns position; no row where they have not begun.
SELECT position
  FROM tracking
 WHERE org = $1::text AND gen = $2::integer AND projection = $3::text
   FOR NO KEY UPDATE;
