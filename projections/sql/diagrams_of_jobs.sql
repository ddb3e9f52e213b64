-- The diagrams that some jobs go through.
--   $1 org text    $2 gen integer    $3 ids integer[]
-- Returns id, diagram_id.
SELECT id, (decisions::json -> 'workflow' ->> 'diagram_id')::integer AS diagram_id
  FROM job
 WHERE org = (SELECT $1::text) AND gen = $2::integer AND id = ANY ($3::integer[])
   AND decisions::json -> 'workflow' IS NOT NULL;
