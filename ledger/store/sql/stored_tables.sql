-- The tables of the schema, with the columns that are written.
-- Returns name, columns text[], size_bytes.
SELECT c.relname::text AS name, array_agg(a.attname::text ORDER BY a.attnum) AS columns, pg_table_size(c.oid) AS size_bytes
  FROM pg_class AS c
  JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
 WHERE c.relnamespace = quote_ident(current_schema())::regnamespace AND c.relkind IN ('r', 'p')
 GROUP BY c.oid, c.relname
 ORDER BY c.relname;
