-- Forget how far the rows of a projection came that are not live: whoever would still count into them finds nothing to lock.
--   $1 org text    $2 projection text    $3 live generation integer
DELETE FROM tracking
 WHERE org = $1::text AND projection = $2::text AND gen <> $3::integer;
