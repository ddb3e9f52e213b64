-- The archives of all orgs whose files were written.
-- Returns org, id, requested_at, written (JSON), is_deleted.
SELECT a.org, a.id, a.requested_at, a.told::json -> 'written' AS written, a.deleted_at IS NOT NULL AS is_deleted
  FROM ledger_head AS h
  JOIN archive AS a ON a.org = h.org AND a.gen = (h.projections -> 'archives' ->> 'gen')::integer
 WHERE a.told::json ->> 'written' IS NOT NULL
 ORDER BY a.org, a.id;
