-- Projection "schedules": one row a schedule, also of one that was deleted. Rows hold instants: next_at is when it fires next.
CREATE TABLE schedule (
  org text COLLATE "C" NOT NULL,
  gen integer NOT NULL,
  id uuid NOT NULL,
  version integer NOT NULL,
  number integer NOT NULL,
  kind text COLLATE "C" NOT NULL,
  expression text NOT NULL,
  action text NOT NULL,
  created_by text COLLATE "C" NOT NULL,
  created_at timestamptz NOT NULL,
  since timestamptz NOT NULL,
  next_at timestamptz,
  paused_at timestamptz,
  deleted_at timestamptz,
  last_due_at timestamptz,
  last_executed_at timestamptz,
  last_job_id integer,
  fires bigint NOT NULL,
  missed bigint NOT NULL,
  CONSTRAINT schedule_pkey PRIMARY KEY (org, gen, id),
  CONSTRAINT schedule_number_is_unique UNIQUE (org, gen, number),
  CONSTRAINT schedule_fires_only_while_active CHECK (next_at IS NULL OR (paused_at IS NULL AND deleted_at IS NULL))
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
-- Of all orgs: whoever fires asks for what is due.
CREATE INDEX schedule_next_at ON schedule (next_at) WHERE next_at IS NOT NULL;

UPDATE ledger_head SET projections = projections || '{"schedules": {"gen": 1, "fold": 1}}'::jsonb;
GRANT SELECT, INSERT, UPDATE, DELETE ON schedule TO jobledger_app;

-- Projection "work": one row for each job that the ledger has still to do itself. claim is the newest claim's number, 0 before
-- the first; reported_at the last event that was a sign of life.
CREATE TABLE job_work (
  org text COLLATE "C" NOT NULL,
  gen integer NOT NULL,
  id integer NOT NULL,
  kind text COLLATE "C" NOT NULL,
  claim integer NOT NULL,
  reported_at timestamptz NOT NULL,
  CONSTRAINT job_work_pkey PRIMARY KEY (org, gen, id)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

UPDATE ledger_head SET projections = projections || '{"work": {"gen": 1, "fold": 1}}'::jsonb;
GRANT SELECT, INSERT, UPDATE, DELETE ON job_work TO jobledger_app;
