-- What some principals are called.
--   $1 org text    $2 ids integer[]
-- Returns id, name.
SELECT id, name
  FROM principal
 WHERE org = (SELECT $1::text)
   AND gen = (SELECT (projections -> 'access' ->> 'gen')::integer FROM ledger_head WHERE org = (SELECT $1::text))
   AND id = ANY ($2::integer[]);
