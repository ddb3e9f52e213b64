-- What was attached to jobs; its chunks are written before.
--   $1 org text    $2 ids uuid[]    $3 job ids integer[]    $4 sizes bigint[]    $5 chunk counts integer[]
INSERT INTO attachment (org, id, job_id, size_bytes, chunk_count)
SELECT $1::text, id, job_id, size_bytes, chunk_count
  FROM unnest($2::uuid[], $3::integer[], $4::bigint[], $5::integer[]) AS a (id, job_id, size_bytes, chunk_count);
