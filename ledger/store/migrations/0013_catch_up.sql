-- Projections that follow the ledger, and generations of rows beside the live one.

-- How far a projection's rows of a generation have come: all events before this position are in them. Moved in the transaction
-- of the rows, under its lock.
CREATE TABLE tracking (
  org text COLLATE "C" NOT NULL,
  gen integer NOT NULL,
  projection text COLLATE "C" NOT NULL,
  position bigint NOT NULL,
  moved_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT tracking_pkey PRIMARY KEY (org, gen, projection),
  CONSTRAINT tracking_position_is_not_negative CHECK (position >= 0)
) WITH (fillfactor = 50);

-- The last generation that was given out in an org: none is ever used twice, so that what a rebuild left that died is never taken
-- for another's.
CREATE TABLE generation (
  org text COLLATE "C" NOT NULL,
  last integer NOT NULL,
  CONSTRAINT generation_pkey PRIMARY KEY (org)
);

-- Projection "rollups": the jobs that ended on a day (in UTC), by type, domain and final state: how many, of how many it is told how
-- long they ran and how long together, and the bytes that they moved.
CREATE TABLE rollup (
  org text COLLATE "C" NOT NULL,
  gen integer NOT NULL,
  day date NOT NULL,
  type text COLLATE "C" NOT NULL,
  domain text COLLATE "C" NOT NULL,
  state text COLLATE "C" NOT NULL,
  jobs bigint NOT NULL,
  timed_jobs bigint NOT NULL,
  duration_ms numeric NOT NULL,
  bytes numeric NOT NULL,
  CONSTRAINT rollup_pkey PRIMARY KEY (org, gen, day, type, domain, state)
) WITH (fillfactor = 70);

-- How many of them ran about how long: a histogram of whose bounds projections/durations.py tells.
CREATE TABLE rollup_duration (
  org text COLLATE "C" NOT NULL,
  gen integer NOT NULL,
  day date NOT NULL,
  type text COLLATE "C" NOT NULL,
  domain text COLLATE "C" NOT NULL,
  state text COLLATE "C" NOT NULL,
  bucket integer NOT NULL,
  jobs bigint NOT NULL,
  CONSTRAINT rollup_duration_pkey PRIMARY KEY (org, gen, day, type, domain, state, bucket)
) WITH (fillfactor = 70);

GRANT SELECT, INSERT, UPDATE, DELETE ON tracking, generation, rollup, rollup_duration TO jobledger_app;
