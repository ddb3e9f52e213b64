-- When a job began, is to begin, or was registered; and how many jobs of a block of 4096 ids begin on a day (in UTC), by domain:
-- what a list by time pages and counts by, however many jobs there are. Both are the projection's, whose fold is now another.
ALTER TABLE job ADD COLUMN begins_at timestamptz;
UPDATE job
   SET begins_at = coalesce(started_at, scheduled_at, (registration::jsonb ->> 'registered_at')::timestamptz);
CREATE INDEX job_begins ON job (begins_at, org, gen, id);

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

-- What the planner knows of the new column until the table is first analysed for real, as in 0003.
DO $$
BEGIN
  IF EXISTS (SELECT FROM ledger_head) THEN
    ANALYZE job, job_count;
    RETURN;
  END IF;
  INSERT INTO job (org, gen, id, version, state, type, domain, datastream_id, source, external_id, body_hash, preceding_job_id,
                   scheduled_at, started_at, due_at, begins_at, q, registration, course)
  SELECT 'Sample-' || n % 5, 1, n, 1, (ARRAY['SCHEDULED', 'RUNNING', 'STALE'])[1 + n % 3], 'type-' || n % 7, 'Global', n % 50,
         'source-' || n % 3, n, n, n - 1, to_timestamp(n), to_timestamp(n), to_timestamp(n), to_timestamp(n), repeat('q', 40),
         repeat('d', 400), repeat('d', 200)
    FROM generate_series(1, 2000) AS n;
  INSERT INTO job_count (org, gen, day, domain, block, jobs)
  SELECT 'Sample-' || n % 5, 1, DATE '1970-01-01' + n / 10, 'Global', n, 4096 FROM generate_series(1, 2000) AS n;
  ANALYZE job, job_count;
  DELETE FROM job WHERE org LIKE 'Sample-%';
  DELETE FROM job_count WHERE org LIKE 'Sample-%';
END
$$;
