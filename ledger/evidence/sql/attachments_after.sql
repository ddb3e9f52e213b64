-- What is attached in an org, by id.
--   $1 org text    $2 beyond id uuid    $3 limit integer
-- Returns id, size_bytes.
SELECT id, size_bytes
  FROM attachment
 WHERE org = (SELECT $1::text) AND id > $2::uuid
 ORDER BY id
 LIMIT $3::integer;
