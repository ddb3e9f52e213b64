-- Templates of an org by id, and the active diagrams of which none was made as their own, but for those that were removed.
--   $1 org text    $2 after what id bigint    $3 at most integer    $4 id integer or null
-- Returns id, name, diagram_id, diagram_name, description, active, defaults, is_own, version, created_at, updated_at; defaults
-- are null, and is_own is false, for a diagram.
WITH live AS MATERIALIZED (
  SELECT (projections -> 'templates' ->> 'gen')::integer AS templates,
         (projections -> 'diagrams' ->> 'gen')::integer AS diagrams
    FROM ledger_head
   WHERE org = (SELECT $1::text)
)
SELECT *
  FROM (SELECT t.id, t.name, t.diagram_id, d.name AS diagram_name, d.description, d.active, t.defaults, true AS is_own,
               t.version, t.created_at, t.updated_at
          FROM template AS t
          JOIN diagram AS d ON d.org = t.org AND d.gen = (SELECT diagrams FROM live) AND d.id = t.diagram_id
         WHERE t.org = (SELECT $1::text) AND t.gen = (SELECT templates FROM live)
           AND t.id > $2::bigint
           AND ($4::integer IS NULL OR t.id = $4::integer)
           AND NOT t.is_deleted
        UNION ALL
        SELECT d.id, d.name, d.id, d.name, d.description, d.active, NULL, false, d.version, d.created_at, d.updated_at
          FROM diagram AS d
         WHERE d.org = (SELECT $1::text) AND d.gen = (SELECT diagrams FROM live)
           AND d.id > $2::bigint
           AND ($4::integer IS NULL OR d.id = $4::integer)
           AND d.active IS NOT NULL
           AND NOT d.is_deleted
           AND ($4::integer IS NOT NULL OR NOT EXISTS (
                SELECT FROM template AS t
                 WHERE t.org = d.org AND t.gen = (SELECT templates FROM live) AND t.diagram_id = d.id AND NOT t.is_deleted))
       ) AS listed
 ORDER BY id
 LIMIT $3::integer;
