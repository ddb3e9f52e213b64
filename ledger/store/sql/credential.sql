-- Credentials of principals.
--   $1 org text    $2 ids uuid[]    $3 principal ids integer[]    $4 kinds text[]    $5 hashes bytea[]
--   $6 created_at timestamptz[]    $7 expires_at timestamptz[]
INSERT INTO credential (org, id, principal_id, kind, hash, created_at, expires_at)
SELECT $1::text, id, principal_id, kind, hash, created_at, expires_at
  FROM unnest($2::uuid[], $3::integer[], $4::text[], $5::bytea[], $6::timestamptz[], $7::timestamptz[])
    AS c (id, principal_id, kind, hash, created_at, expires_at);
