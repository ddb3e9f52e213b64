-- Give out a generation that no rows of the org have had; the first rows of all have 1.
--   $1 org text
-- Returns last.
INSERT INTO generation (org, last) VALUES ($1::text, 2)
    ON CONFLICT (org) DO UPDATE SET last = generation.last + 1
RETURNING last;
