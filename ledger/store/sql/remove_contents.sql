-- Remove what some events cover, which are in the store by now: in this transaction, too.
--   $1 org text    $2 streams text[]    $3 versions integer[]
-- Returns how many contents were removed, in whole or in part, and how many attachments.
SELECT remove_contents($1::text, $2::text[], $3::integer[]), remove_attachments($1::text, $2::text[], $3::integer[]);
