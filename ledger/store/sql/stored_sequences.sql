-- The sequences of the schema.
-- Returns name.
SELECT c.relname::text AS name
  FROM pg_class AS c
 WHERE c.relnamespace = quote_ident(current_schema())::regnamespace AND c.relkind = 'S'
 ORDER BY c.relname;
