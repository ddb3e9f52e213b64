-- The storage policies that an org's copies are of, by id; each with the name that the copy changed last gives it.
--   $1 org text
-- Returns id, name.
SELECT DISTINCT ON (storage_policy_id) storage_policy_id AS id, storage_policy_name AS name
  FROM storage_copy
 WHERE org = (SELECT $1::text)
   AND gen = (SELECT (projections -> 'copies' ->> 'gen')::integer FROM ledger_head WHERE org = (SELECT $1::text))
 ORDER BY storage_policy_id, updated_at DESC, id DESC;
