-- What some events' headers, one after the other, have as their digest.
--   $1 org text    $2 positions bigint[] as a literal
-- Returns number, how many there are; digest, the SHA-256 of their headers in the order of positions, bytea.
SELECT count(*)::integer AS number, sha256(coalesce(string_agg(e.header, ''::bytea ORDER BY e.position), ''::bytea)) AS digest
  FROM unnest($2::text::bigint[]) AS u (position)
 CROSS JOIN LATERAL (
       SELECT position, header FROM event WHERE org = (SELECT $1::text) AND position = u.position OFFSET 0) AS e;
