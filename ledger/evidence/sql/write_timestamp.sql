-- Attach a time stamp.
--   $1 org text    $2 fork integer    $3 size bigint    $4 number integer    $5 token bytea    $6 stamped at timestamptz
--   $7 covers integer    $8 by text
INSERT INTO checkpoint_timestamp (org, fork, size, number, token, stamped_at, covers, attached_by)
VALUES ($1::text, $2::integer, $3::bigint, $4::integer, $5::bytea, $6::timestamptz, $7::integer, $8::text);
