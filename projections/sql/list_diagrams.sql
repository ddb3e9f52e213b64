-- Diagrams of an org by id, but for those that were removed.
--   $1 org text    $2 after what id bigint    $3 at most integer    $4 id integer or null
-- Returns id, name, description, active, has_draft, numbers (of versions that were not removed), version, created_at,
-- updated_at.
SELECT id, name, description, active, created_at, updated_at, version,
       EXISTS (SELECT FROM diagram_version AS v
                WHERE v.org = d.org AND v.gen = d.gen AND v.id = d.id AND v.number = -1) AS has_draft,
       ARRAY(SELECT number FROM diagram_version AS v
              WHERE v.org = d.org AND v.gen = d.gen AND v.id = d.id AND v.number > 0 AND NOT v.is_deleted
              ORDER BY number) AS numbers
  FROM diagram AS d
 WHERE org = (SELECT $1::text)
   AND gen = (SELECT (projections -> 'diagrams' ->> 'gen')::integer FROM ledger_head WHERE org = (SELECT $1::text))
   AND id > $2::bigint
   AND ($4::integer IS NULL OR id = $4::integer)
   AND NOT is_deleted
 ORDER BY org, gen, id
 LIMIT $3::integer;
