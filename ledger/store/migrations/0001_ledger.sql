-- The ledger: heads, events, contents; what lies beside it; the projections of jobs and principals.
-- No triggers and no foreign keys, org first in every key: the tables can be distributed by org.

-- One row: which installation this database is. A data folder belongs to exactly one.
CREATE TABLE installation (
  id uuid NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  is_only boolean NOT NULL DEFAULT true,
  CONSTRAINT installation_pkey PRIMARY KEY (is_only),
  CONSTRAINT installation_is_only CHECK (is_only)
);

-- One row an org. Locked by every append: it serialises the org's writers in every process.
-- Updated in place by each batch; the free space in its page keeps those updates from touching the index.
CREATE TABLE ledger_head (
  org text COLLATE "C" NOT NULL,
  size bigint NOT NULL DEFAULT 0,
  last_leaf bytea NOT NULL DEFAULT ''::bytea,
  recorded_at timestamptz NOT NULL DEFAULT '-infinity',
  numbers jsonb NOT NULL DEFAULT '{}'::jsonb,
  projections jsonb NOT NULL,
  CONSTRAINT ledger_head_pkey PRIMARY KEY (org),
  CONSTRAINT ledger_head_size_is_not_negative CHECK (size >= 0)
) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

CREATE TABLE event (
  org text COLLATE "C" NOT NULL,
  position bigint NOT NULL,
  stream text COLLATE "C" NOT NULL,
  version integer NOT NULL,
  type text COLLATE "C" NOT NULL,
  recorded_at timestamptz NOT NULL,
  header bytea NOT NULL,
  CONSTRAINT event_pkey PRIMARY KEY (org, position),
  CONSTRAINT event_stream_version_is_unique UNIQUE (org, stream, version),
  CONSTRAINT event_version_is_positive CHECK (version > 0)
);

CREATE TABLE content (
  org text COLLATE "C" NOT NULL,
  position bigint NOT NULL,
  body bytea NOT NULL,
  private bytea,
  CONSTRAINT content_pkey PRIMARY KEY (org, position)
);

-- Answers given to an Idempotency-Key, kept 24 hours.
CREATE TABLE idempotency (
  org text COLLATE "C" NOT NULL,
  principal text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  request_hash bytea NOT NULL,
  answer bytea NOT NULL,
  recorded_at timestamptz NOT NULL,
  CONSTRAINT idempotency_pkey PRIMARY KEY (org, principal, key)
);
CREATE INDEX idempotency_recorded_at ON idempotency USING brin (recorded_at) WITH (autosummarize = on);

-- Hashes of what principals show: argon2id of passwords, SHA-256 of tokens.
CREATE TABLE credential (
  org text COLLATE "C" NOT NULL,
  id uuid NOT NULL,
  principal_id integer NOT NULL,
  kind text NOT NULL,
  hash bytea NOT NULL,
  created_at timestamptz NOT NULL,
  expires_at timestamptz,
  CONSTRAINT credential_pkey PRIMARY KEY (org, id),
  CONSTRAINT credential_kind_is_known CHECK (kind IN ('password', 'token'))
);
CREATE UNIQUE INDEX credential_token_hash_is_unique ON credential (org, hash) WHERE kind = 'token';
CREATE INDEX credential_principal ON credential (org, principal_id);

-- The last sign of life of a job's worker that was no event.
CREATE TABLE heartbeat (
  org text COLLATE "C" NOT NULL,
  job_id integer NOT NULL,
  beat_at timestamptz NOT NULL,
  CONSTRAINT heartbeat_pkey PRIMARY KEY (org, job_id)
) WITH (fillfactor = 50);

-- Which server does a piece of the installation's own work, until when. A lease spares effort; it decides nothing.
CREATE TABLE lease (
  name text COLLATE "C" NOT NULL,
  holder uuid NOT NULL,
  renewed_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  CONSTRAINT lease_pkey PRIMARY KEY (name)
);

-- Times in which no server watched: they count for nobody's deadline.
CREATE TABLE outage (
  began_at timestamptz NOT NULL,
  ended_at timestamptz NOT NULL,
  CONSTRAINT outage_pkey PRIMARY KEY (began_at),
  CONSTRAINT outage_ends_after_it_began CHECK (ended_at > began_at)
);

-- Projection "jobs". registration and course are JSON objects: what was registered, and what changes as the job goes. They
-- are text, as every change would pay for a check of what we wrote ourselves.
CREATE TABLE job (
  org text COLLATE "C" NOT NULL,
  gen integer NOT NULL,
  id integer NOT NULL,
  version integer NOT NULL,
  state text COLLATE "C" NOT NULL,
  type text COLLATE "C" NOT NULL,
  domain text COLLATE "C" NOT NULL,
  datastream_id text COLLATE "C",
  source text COLLATE "C",
  external_id text COLLATE "C",
  body_hash text COLLATE "C",
  preceding_job_id integer,
  scheduled_at timestamptz,
  started_at timestamptz,
  ended_at timestamptz,
  due_at timestamptz,
  q text NOT NULL,
  registration text NOT NULL,
  course text NOT NULL,
  CONSTRAINT job_pkey PRIMARY KEY (org, gen, id),
  CONSTRAINT job_state_is_known
    CHECK (state IN ('SCHEDULED', 'RUNNING', 'STALE', 'SUCCESS', 'FAILED', 'CANCELLED', 'DISCARDED')),
  CONSTRAINT job_final_is_ended
    CHECK ((state IN ('SUCCESS', 'FAILED', 'CANCELLED', 'DISCARDED')) = (ended_at IS NOT NULL))
) WITH (fillfactor = 70);
-- What tells jobs apart comes first, so that a planner that knows nothing of the table yet takes none of these for the key.
CREATE INDEX job_state ON job (state, org, gen, id);
CREATE INDEX job_type ON job (type, org, gen, id);
CREATE INDEX job_datastream ON job (datastream_id, org, gen, id) WHERE datastream_id IS NOT NULL;
CREATE UNIQUE INDEX job_external_id_is_unique ON job (org, gen, external_id, source) WHERE external_id IS NOT NULL;
CREATE INDEX job_preceding ON job (org, gen, preceding_job_id) WHERE preceding_job_id IS NOT NULL;
CREATE INDEX job_due ON job (org, gen, due_at) WHERE due_at IS NOT NULL;

-- Projection "access".
CREATE TABLE principal (
  org text COLLATE "C" NOT NULL,
  gen integer NOT NULL,
  id integer NOT NULL,
  version integer NOT NULL,
  name text COLLATE "C" NOT NULL,
  roles text[] NOT NULL,
  home_domain text COLLATE "C" NOT NULL,
  domains text[],
  CONSTRAINT principal_pkey PRIMARY KEY (org, gen, id),
  CONSTRAINT principal_name_is_unique UNIQUE (org, gen, name)
);
