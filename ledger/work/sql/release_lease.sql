-- Let a lease expire now, so that another server takes it at once.
--   $1 name text    $2 holder uuid
UPDATE lease
   SET expires_at = clock_timestamp()
 WHERE name = $1::text AND holder = $2::uuid;
