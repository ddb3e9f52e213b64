-- Uploads that are recorded now.
--   $1 org text    $2 ids uuid[]
DELETE FROM upload WHERE org = $1::text AND id = ANY ($2::uuid[]);
