-- How far the live rows of a projection have come, locked; no row where another moves it on.
--   $1 org text    $2 projection text    $3 fold version integer
-- Returns gen, position, and the size of the ledger.
SELECT t.gen, t.position, h.size
  FROM ledger_head AS h
  JOIN tracking AS t ON t.org = $1::text AND t.gen = (h.projections -> $2::text ->> 'gen')::integer AND t.projection = $2::text
 WHERE h.org = $1::text AND (h.projections -> $2::text ->> 'fold')::integer = $3::integer
   FOR NO KEY UPDATE OF t SKIP LOCKED;
