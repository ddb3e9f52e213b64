-- Events one by one, up to so many bytes but at least one: those of which some contents have left the store, or are to be rendered.
--   $1 org text    $2 positions, ascending, bigint[] as a literal    $3 about so many bytes integer
-- Returns position, stream, header, body, private of each in order; body and private are null where there is none, or none any more.
WITH asked AS MATERIALIZED (
  SELECT u.position, e.stream, e.header, c.body, c.private,
         sum(coalesce(octet_length(c.body), 0) + coalesce(octet_length(c.private), 0))
           OVER (ORDER BY u.position ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before_bytes
    FROM unnest($2::text::bigint[]) AS u (position)
   CROSS JOIN LATERAL (
         SELECT stream, header FROM event WHERE org = (SELECT $1::text) AND position = u.position OFFSET 0) AS e
    LEFT JOIN LATERAL (
         SELECT body, private FROM content WHERE org = (SELECT $1::text) AND position = u.position OFFSET 0) AS c ON true
)
SELECT position, stream, header, body, private
  FROM asked
 WHERE coalesce(before_bytes, 0) < $3::integer
 ORDER BY position;
