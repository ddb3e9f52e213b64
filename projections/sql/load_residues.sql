-- Jobs that are gone, as far as they are known.
--   $1 org text    $2 gen integer    $3 ids integer[]
-- Returns id, version, gone, gone_at, residue.
SELECT id, version, gone, gone_at, residue
  FROM job_residue
 WHERE org = (SELECT $1::text) AND gen = $2::integer AND id = ANY ($3::integer[]);
