-- The first of some events, up to so many bytes but at least one, as the lines of an archive: bytes are joined as they are stored.
--   $1 org text    $2 positions, ascending, bigint[] as a literal    $3 about so many bytes integer
-- Returns one row: number, how many they are; lines, each {"header":…,"content":…} and a newline, content being null where it has left
-- the store; privates, the lines {"position":…,"private":…} of those that have private content; private_number, how many have.
-- All positions are one condition of each index: to look each up apart takes several times as long. The join is full though no
-- content is without its header: then it cannot be made by comparing each with each, which takes longest, and which the planner,
-- who takes any list for a short one, would choose.
WITH asked AS MATERIALIZED (
  SELECT position, e.header, c.body, c.private,
         sum(octet_length(e.header) + coalesce(octet_length(c.body), 0) + coalesce(octet_length(c.private), 0))
           OVER (ORDER BY position ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before_bytes
    FROM (SELECT position, header
            FROM event
           WHERE org = (SELECT $1::text) AND position = ANY ($2::text::bigint[])) AS e
    FULL JOIN (SELECT position, body, private
                 FROM content
                WHERE org = (SELECT $1::text) AND position = ANY ($2::text::bigint[])) AS c USING (position)
)
SELECT count(header)::integer AS number,
       string_agg('{"header":'::bytea || header || ',"content":'::bytea || coalesce(body, 'null'::bytea) || '\x7d0a'::bytea,
                  ''::bytea ORDER BY position) AS lines,
       coalesce(string_agg(convert_to('{"position":' || position || ',"private":', 'UTF8') || private || '\x7d0a'::bytea,
                           ''::bytea ORDER BY position) FILTER (WHERE private IS NOT NULL), ''::bytea) AS privates,
       count(private)::integer AS private_number
  FROM asked
 WHERE coalesce(before_bytes, 0) < $3::integer;
