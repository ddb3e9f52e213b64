-- Drafts that are none any more.
--   $1 org text    $2 gen integer    $3 diagram ids integer[]
DELETE FROM diagram_version
 WHERE org = $1::text AND gen = $2::integer AND id = ANY ($3::integer[]) AND number = -1
