-- When a job began, is to begin, or was registered; and how many jobs of a block of 4096 ids begin on a day (in UTC), by domain:
-- what a list by time pages and counts by, however many jobs there are. Both are the projection's, whose fold is now another.
ALTER TABLE job ADD COLUMN begins_at timestamptz;
UPDATE job
   SET begins_at = coalesce(started_at, scheduled_at, (registration::jsonb ->> 'registered_at')::timestamptz);
-- Partial, as no lookup of a job by its key can take it then; every condition on the time may. What lists filter by goes along,
-- so that they are counted by the index alone.
CREATE INDEX job_begins ON job (org, gen, begins_at, id) INCLUDE (state, domain) WHERE begins_at IS NOT NULL;

-- Each batch counts into few rows, in place.
CREATE TABLE job_count (
  org text COLLATE "C" NOT NULL,
  gen integer NOT NULL,
  day date NOT NULL,
  domain text COLLATE "C" NOT NULL,
  block integer NOT NULL,
  jobs integer NOT NULL,
  CONSTRAINT job_count_pkey PRIMARY KEY (org, gen, day, domain, block)
) WITH (fillfactor = 50);
GRANT SELECT, INSERT, UPDATE, DELETE ON job_count TO jobledger_app;
INSERT INTO job_count (org, gen, day, domain, block, jobs)
SELECT org, gen, (begins_at AT TIME ZONE 'UTC')::date, domain, id >> 12, count(*)
  FROM job
 GROUP BY 1, 2, 3, 4, 5;

UPDATE ledger_head
   SET projections = jsonb_set(projections, '{jobs,fold}', '2'::jsonb)
 WHERE projections -> 'jobs' ->> 'fold' = '1';
