-- The contents of the first of some events, up to so many bytes but at least one, joined as they are stored, a line each.
--   $1 org text    $2 positions, ascending, bigint[] as a literal    $3 about so many bytes integer
-- Returns one row: number, how many they are; lines, {"position":…,"content":…} of each; missing, how many have left the store.
WITH asked AS MATERIALIZED (
  SELECT u.position, c.body,
         sum(coalesce(octet_length(c.body), 0)) OVER (ORDER BY u.position ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
           AS before_bytes
    FROM unnest($2::text::bigint[]) AS u (position)
    LEFT JOIN LATERAL (
         SELECT body FROM content WHERE org = (SELECT $1::text) AND position = u.position OFFSET 0) AS c ON true
)
SELECT count(*)::integer AS number,
       string_agg(convert_to('{"position":' || position || ',"content":', 'UTF8') || coalesce(body, 'null'::bytea) || '\x7d0a'::bytea,
                  ''::bytea ORDER BY position) AS lines,
       count(*) FILTER (WHERE body IS NULL)::integer AS missing
  FROM asked
 WHERE coalesce(before_bytes, 0) < $3::integer;
