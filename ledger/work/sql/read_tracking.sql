-- How far the live rows of a projection have come.
--   $1 org text    $2 projection text
-- Returns the fold version of these rows, and position, null where they have not begun; no row where there is no such org.
SELECT (h.projections -> $2::text ->> 'fold')::integer AS fold, t.position
  FROM ledger_head AS h
  LEFT JOIN tracking AS t ON t.org = $1::text AND t.gen = (h.projections -> $2::text ->> 'gen')::integer AND t.projection = $2::text
 WHERE h.org = (SELECT $1::text);
