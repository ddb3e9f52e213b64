-- Remove credentials that count no longer.
--   $1 org text    $2 ids uuid[]
DELETE FROM credential
 WHERE org = $1::text
   AND id = ANY ($2::uuid[]);
