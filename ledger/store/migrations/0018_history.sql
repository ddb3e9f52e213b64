-- Projection "job_history": how each job stood at each position of the ledger, as far as lists look at it.

-- What never changes of a job, from the position at which it was registered on.
CREATE TABLE job_past (
  org text COLLATE "C" NOT NULL,
  gen integer NOT NULL,
  id integer NOT NULL,
  registered_position bigint NOT NULL,
  registered_at timestamptz NOT NULL,
  type text COLLATE "C" NOT NULL,
  domain text COLLATE "C" NOT NULL,
  datastream_id text COLLATE "C",
  source text COLLATE "C",
  external_id text COLLATE "C",
  scheduled_at timestamptz,
  imported boolean,
  CONSTRAINT job_past_pkey PRIMARY KEY (org, gen, id) INCLUDE (registered_position)
);
CREATE INDEX job_past_type ON job_past (type, org, gen, id);
CREATE INDEX job_past_datastream ON job_past (datastream_id, org, gen, id) WHERE datastream_id IS NOT NULL;
CREATE INDEX job_past_external_id ON job_past (external_id, org, gen, id) WHERE external_id IS NOT NULL;

-- From a position, itself included, to before another a job stood so: one row for each time that anything of it changed. The last
-- row's until_position is the largest bigint. level: of how many binary digits, less one, the number of positions is, 63 for
-- the last row. Of all rows that a position lies in, those of a level begin within twice their length before it: by that they are found.
CREATE TABLE job_history (
  org text COLLATE "C" NOT NULL,
  gen integer NOT NULL,
  id integer NOT NULL,
  from_position bigint NOT NULL,
  until_position bigint NOT NULL,
  level smallint NOT NULL,
  state text COLLATE "C" NOT NULL,
  started_at timestamptz,
  ended_at timestamptz,
  final_at timestamptz,
  is_closed boolean,
  is_held boolean,
  retained_until timestamptz,
  q text NOT NULL,
  CONSTRAINT job_history_pkey PRIMARY KEY (org, gen, id, from_position),
  CONSTRAINT job_history_is_not_empty CHECK (from_position < until_position)
) WITH (fillfactor = 90);
CREATE INDEX job_history_state ON job_history (state, level, org, gen, from_position) INCLUDE (until_position, id);

-- The whole job, without what is private, after each so many events of it: so that a long stream is not folded from its beginning.
-- has_private: whether private content was ever recorded of it by then.
CREATE TABLE job_snapshot (
  org text COLLATE "C" NOT NULL,
  gen integer NOT NULL,
  id integer NOT NULL,
  version integer NOT NULL,
  position bigint NOT NULL,
  has_private boolean NOT NULL,
  job text NOT NULL,
  CONSTRAINT job_snapshot_pkey PRIMARY KEY (org, gen, id, version)
);

-- Nothing asks by what these hold but for one value, and ANALYZE would keep samples of it where no removal reaches.
ALTER TABLE job_past
  ALTER COLUMN datastream_id SET STATISTICS 0,
  ALTER COLUMN source SET STATISTICS 0,
  ALTER COLUMN external_id SET STATISTICS 0;
ALTER TABLE job_history ALTER COLUMN q SET STATISTICS 0;
ALTER TABLE job_snapshot ALTER COLUMN job SET STATISTICS 0;
GRANT SELECT, INSERT, UPDATE, DELETE ON job_past, job_history, job_snapshot TO jobledger_app;
