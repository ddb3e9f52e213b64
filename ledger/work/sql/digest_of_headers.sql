-- What some events' headers, one after the other, have as their digest.
--   $1 org text    $2 positions bigint[] as a literal
-- Returns number, how many there are; digest, the SHA-256 of their headers in the order of positions, bytea.
-- All positions are one condition of the index: to look each up apart takes several times as long.
SELECT count(*)::integer AS number, sha256(coalesce(string_agg(header, ''::bytea ORDER BY position), ''::bytea)) AS digest
  FROM event
 WHERE org = (SELECT $1::text) AND position = ANY ($2::text::bigint[]);
