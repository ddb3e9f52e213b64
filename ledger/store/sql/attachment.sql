-- What was attached to jobs; its chunks are written before, and it is no upload any more.
--   $1 org text    $2 ids uuid[]    $3 job ids integer[]    $4 sizes bigint[]    $5 chunk counts integer[]
WITH recorded AS (
  DELETE FROM upload WHERE org = $1::text AND id = ANY ($2::uuid[])
)
INSERT INTO attachment (org, id, job_id, size_bytes, chunk_count)
SELECT $1::text, id, job_id, size_bytes, chunk_count
  FROM unnest($2::uuid[], $3::integer[], $4::bigint[], $5::integer[]) AS a (id, job_id, size_bytes, chunk_count);
