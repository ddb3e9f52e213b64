-- Archives of an org by id, with the state of the job that makes each and the name of who asked for it.
--   $1 org text    $2 after what id bigint    $3 at most integer    $4 id integer or null    $5 the asker's domains text[] or null
-- Returns id, version, requested_at, requested_by, domains, told, verified_at, completed_at, deleted_at, job_state, job_reason,
-- requester.
SELECT a.id, a.version, a.requested_at, a.requested_by, a.domains, a.told, a.verified_at, a.completed_at, a.deleted_at,
       coalesce(j.state, r.residue::json ->> 'state') AS job_state, j.course::json ->> 'reason' AS job_reason,
       coalesce(p.name, a.requested_by) AS requester
  FROM ledger_head AS h
  JOIN archive AS a
    ON a.org = h.org AND a.gen = (h.projections -> 'archives' ->> 'gen')::integer
  LEFT JOIN job AS j
    ON j.org = h.org AND j.gen = (h.projections -> 'jobs' ->> 'gen')::integer AND j.id = a.id
  LEFT JOIN job_residue AS r
    ON r.org = h.org AND r.gen = (h.projections -> 'jobs' ->> 'gen')::integer AND r.id = a.id
  LEFT JOIN principal AS p
    ON p.org = h.org AND p.gen = (h.projections -> 'access' ->> 'gen')::integer
   AND p.id = substring(a.requested_by FROM '^principal-([0-9]+)$')::integer
 WHERE h.org = (SELECT $1::text)
   AND a.id > $2::bigint
   AND ($4::integer IS NULL OR a.id = $4::integer)
   AND ($5::text[] IS NULL OR a.domains <@ $5::text[])
 ORDER BY a.id
 LIMIT $3::integer;
