-- Jobs are counted by state too, so that lists by state have their counts, and their places, without looking at each job.
-- What was counted without is no longer kept; both are the projection's, whose fold is now another.
DROP TABLE job_count;
-- The state before the day, as some states' jobs are counted of all days.
CREATE TABLE job_count (
  org text COLLATE "C" NOT NULL,
  gen integer NOT NULL,
  state text COLLATE "C" NOT NULL,
  day date NOT NULL,
  domain text COLLATE "C" NOT NULL,
  block integer NOT NULL,
  jobs integer NOT NULL,
  CONSTRAINT job_count_pkey PRIMARY KEY (org, gen, state, day, domain, block)
) WITH (fillfactor = 50);
GRANT SELECT, INSERT, UPDATE, DELETE ON job_count TO jobledger_app;
INSERT INTO job_count (org, gen, state, day, domain, block, jobs)
SELECT org, gen, state, (begins_at AT TIME ZONE 'UTC')::date, domain, id >> 12, count(*)
  FROM job
 GROUP BY 1, 2, 3, 4, 5, 6;

-- What lists filter by goes along, so that they look through the index alone. No change of a job touches an index that it
-- did not touch before.
DROP INDEX IF EXISTS job_state, job_datastream;
CREATE INDEX job_state ON job (state, org, gen, id) INCLUDE (domain, begins_at);
CREATE INDEX job_datastream ON job (datastream_id, org, gen, id) INCLUDE (state, domain, begins_at)
 WHERE datastream_id IS NOT NULL;

UPDATE ledger_head
   SET projections = jsonb_set(projections, '{jobs,fold}', '3'::jsonb)
 WHERE projections -> 'jobs' ->> 'fold' = '2';
