-- Remove the chunks of an upload, unless it was recorded.
--   $1 org text    $2 id uuid
SELECT discard_upload($1::text, $2::uuid);
