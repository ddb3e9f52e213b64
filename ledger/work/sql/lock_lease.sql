-- A lease, locked for whoever would take or renew it.
--   $1 name text
-- Returns holder, renewed_at, whether it has expired, and the database's clock; no row where it was never taken.
SELECT holder, renewed_at, expires_at <= clock_timestamp() AS is_expired, clock_timestamp() AS clock
  FROM lease
 WHERE name = $1::text
   FOR UPDATE;
