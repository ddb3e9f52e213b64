-- A head for a new org, unless it has one.
--   $1 org text    $2 projections json text
INSERT INTO ledger_head (org, projections)
VALUES ($1::text, $2::jsonb)
    ON CONFLICT (org) DO NOTHING;
