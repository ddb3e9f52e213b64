-- The streams of a kind in which something happened within a range of positions that changes rows: an event of some types, or each
-- so manieth of a stream.
--   $1 org text    $2 from position bigint, itself included    $3 before position bigint    $4 types text[]
--   $5 each so manieth integer    $6 what the streams' names begin with text    $7 types text[] after which nothing is told of a stream
-- Returns stream, is_over: whether an event of these last types is among them.
SELECT stream, bool_or(type = ANY ($7::text[])) AS is_over
  FROM event
 WHERE org = (SELECT $1::text) AND position >= $2::bigint AND position < $3::bigint
   AND (type = ANY ($4::text[]) OR version % $5::integer = 0) AND starts_with(stream, $6::text)
 GROUP BY stream;
