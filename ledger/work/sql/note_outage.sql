-- A time in which no server watched.
--   $1 began_at timestamptz    $2 ended_at timestamptz
INSERT INTO outage (began_at, ended_at)
VALUES ($1::timestamptz, $2::timestamptz)
    ON CONFLICT (began_at) DO UPDATE SET ended_at = greatest(outage.ended_at, EXCLUDED.ended_at);
