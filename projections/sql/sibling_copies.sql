-- The copies of the storage policies that some copies are of, these among them.
--   $1 org text    $2 gen integer    $3 copy ids integer[]
-- Returns copy_id (one of $3), id.
SELECT asked.id AS copy_id, sibling.id
  FROM storage_copy AS asked
  JOIN storage_copy AS sibling
    ON sibling.org = asked.org AND sibling.gen = asked.gen AND sibling.storage_policy_id = asked.storage_policy_id
 WHERE asked.org = $1::text AND asked.gen = $2::integer AND asked.id = ANY ($3::integer[])
 ORDER BY sibling.id;
