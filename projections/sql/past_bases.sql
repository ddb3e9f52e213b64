-- From where on some jobs are folded to see how they stood at a position: their last snapshots before it.
--   $1 org text    $2 position bigint    $3 ids integer[]
-- Returns id, version, has_private, job; no row where a job is folded from its beginning.
SELECT u.id, s.version, s.has_private, s.job
  FROM unnest($3::integer[]) AS u (id)
 CROSS JOIN LATERAL (
       SELECT version, has_private, job
         FROM job_snapshot
        WHERE org = (SELECT $1::text)
          AND gen = (SELECT (projections -> 'job_history' ->> 'gen')::integer FROM ledger_head WHERE org = (SELECT $1::text))
          AND id = u.id
          AND position <= $2::bigint
        ORDER BY version DESC
        LIMIT 1) AS s;
