-- Remove the attachments that some events say are removed, which are in the store by now: in this transaction, too.
--   $1 org text    $2 streams text[]    $3 versions integer[]
-- Returns how many were removed.
SELECT remove_attachments($1::text, $2::text[], $3::integer[]);
