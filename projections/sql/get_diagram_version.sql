-- One version of a diagram: that of a number; without one the active version, else the draft.
--   $1 org text    $2 id integer    $3 number integer or null
-- Returns id, name, description, active, number, content, saved_at, created_at, updated_at; no row where there is none, or it was removed.
SELECT d.id, d.name, d.description, d.active, v.number, v.content, v.saved_at, d.created_at, d.updated_at
  FROM diagram AS d
  JOIN diagram_version AS v ON v.org = d.org AND v.gen = d.gen AND v.id = d.id
 WHERE d.org = (SELECT $1::text)
   AND d.gen = (SELECT (projections -> 'diagrams' ->> 'gen')::integer FROM ledger_head WHERE org = (SELECT $1::text))
   AND d.id = $2::integer
   AND v.number = coalesce($3::integer, d.active, -1)
   AND NOT d.is_deleted
   AND NOT v.is_deleted;
