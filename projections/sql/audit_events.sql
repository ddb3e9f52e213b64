-- Events in the order of their positions within a range of these, by who did what to whom.
--   $1 org text    $2 from position bigint, itself included    $3 before position bigint    $4 limit integer
--   $5 type text or null    $6 stream text or null    $7 by whom text, as headers say it, or null
--   $8 what the streams begin with that tell what they were refused text, or null where $7 is
--   $9 whether attempts that were refused are wanted boolean, alone or not at all, or null
-- Returns position, header, body; body is null where it has left the store.
-- No member of a header before "by" holds a quote: what looks like it is it.
SELECT e.position, e.header, c.body
  FROM event AS e
  LEFT JOIN content AS c ON c.org = e.org AND c.position = e.position
 WHERE e.org = (SELECT $1::text)
   AND e.position >= $2::bigint
   AND e.position < $3::bigint
   AND ($5::text IS NULL OR e.type = $5::text)
   AND ($6::text IS NULL OR e.stream = $6::text)
   AND ($7::text IS NULL OR starts_with(e.stream, $8::text) OR strpos(convert_from(e.header, 'UTF8'), '"by":"' || $7::text || '"') > 0)
   AND ($9::boolean IS NULL OR (e.type = 'access.denied') = $9::boolean)
 ORDER BY e.position
 LIMIT $4::integer;
