-- Take or renew a lease that the caller holds locked, or that was never taken.
--   $1 name text    $2 holder uuid    $3 seconds double precision
-- Returns a row if it was taken: none, if another took it first.
INSERT INTO lease AS held (name, holder, renewed_at, expires_at)
VALUES ($1::text, $2::uuid, clock_timestamp(), clock_timestamp() + make_interval(secs => $3::double precision))
    ON CONFLICT (name)
    DO UPDATE SET holder = EXCLUDED.holder, renewed_at = EXCLUDED.renewed_at, expires_at = EXCLUDED.expires_at
       WHERE held.holder = EXCLUDED.holder OR held.expires_at <= clock_timestamp()
RETURNING 1;
