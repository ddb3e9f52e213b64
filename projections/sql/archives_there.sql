-- Which of some archives were not deleted.
--   $1 org text    $2 ids integer[]
-- Returns id, in order.
SELECT a.id
  FROM ledger_head AS h
  JOIN archive AS a ON a.org = h.org AND a.gen = (h.projections -> 'archives' ->> 'gen')::integer
 WHERE h.org = (SELECT $1::text)
   AND a.id = ANY ($2::integer[])
   AND a.deleted_at IS NULL
 ORDER BY a.id;
