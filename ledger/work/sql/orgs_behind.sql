-- The orgs of which a projection's live rows have not come as far as the ledger.
--   $1 projection text    $2 fold version integer
-- Returns org.
SELECT h.org
  FROM ledger_head AS h
  LEFT JOIN tracking AS t ON t.org = h.org AND t.gen = (h.projections -> $1::text ->> 'gen')::integer AND t.projection = $1::text
 WHERE coalesce(t.position, 0) < h.size
   AND coalesce((h.projections -> $1::text ->> 'fold')::integer, $2::integer) = $2::integer;
