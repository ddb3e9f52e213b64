-- The leaves of a range of events, one after another in the order of their positions.
--   $1 org text    $2 from position bigint, itself included    $3 before position bigint
-- Returns leaves (32 bytes each; null where there is none), count.
SELECT string_agg(e.leaf, ''::bytea ORDER BY e.position) AS leaves, count(*) AS count
  FROM (SELECT position, sha256('\x00'::bytea || header) AS leaf
          FROM event
         WHERE org = (SELECT $1::text)
           AND position >= $2::bigint
           AND position < $3::bigint
         ORDER BY position) AS e;
