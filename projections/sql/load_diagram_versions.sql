-- All versions of some diagrams, the drafts among them.
--   $1 org text    $2 gen integer    $3 ids integer[]
-- Returns id, number, content, saved_at, is_deleted; by diagram and number.
SELECT id, number, content, saved_at, is_deleted
  FROM diagram_version
 WHERE org = $1::text AND gen = $2::integer AND id = ANY ($3::integer[])
 ORDER BY org, gen, id, number;
