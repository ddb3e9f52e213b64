-- One chunk of an upload. It need not be on disk when this returns: the event that records it comes later, and its commit
-- carries along all that was written before.
--   $1 org text    $2 id uuid    $3 number integer    $4 body bytea
WITH relaxed AS MATERIALIZED (
  SELECT set_config('synchronous_commit', 'off', true) AS value
), touched AS (
  INSERT INTO upload (org, id, touched_at)
  VALUES ($1::text, $2::uuid, clock_timestamp())
      ON CONFLICT (org, id) DO UPDATE SET touched_at = EXCLUDED.touched_at
)
INSERT INTO attachment_chunk (org, id, number, body)
SELECT $1::text, $2::uuid, $3::integer, $4::bytea FROM relaxed;
