-- Say that what needs a secret is recorded.
--   $1 org text    $2 id uuid
UPDATE secret
   SET is_wanted = true
 WHERE org = $1::text
   AND id = $2::uuid;
