-- Delete secrets that no job that is ahead, or under way, names; those of which nobody has said that they are wanted only once they
-- are old: what needs them may just be being recorded.
--   $1 how old interval
-- Returns org, one row each.
DELETE FROM secret AS s
 WHERE (s.is_wanted OR s.created_at < clock_timestamp() - $1::interval)
   AND NOT EXISTS (
       SELECT
         FROM ledger_head AS h
         JOIN job_work AS w
           ON w.org = h.org AND w.gen = (h.projections -> 'work' ->> 'gen')::integer
         JOIN job AS j
           ON j.org = w.org AND j.gen = (h.projections -> 'jobs' ->> 'gen')::integer AND j.id = w.id
        WHERE h.org = s.org
          AND j.decisions::jsonb #>> '{work,order,destination,secret}' = s.id::text)
RETURNING s.org;
