-- The headers of a range of events, joined as they are stored, a line each.
--   $1 org text    $2 from position bigint, itself included    $3 before position bigint    $4 whether streams are wanted boolean
-- Returns one row: number, how many they are; headers; streams, of each in order, null where they are not wanted.
SELECT count(*)::integer AS number,
       coalesce(string_agg(header || '\x0a'::bytea, ''::bytea ORDER BY position), ''::bytea) AS headers,
       CASE WHEN $4::boolean THEN array_agg(stream ORDER BY position) END AS streams
  FROM event
 WHERE org = (SELECT $1::text)
   AND position >= $2::bigint
   AND position < $3::bigint;
