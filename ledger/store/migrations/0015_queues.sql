-- Queues of messages, the domains of jobs in the order in which they were first used, and work with a start time.

-- Projection "domains": each domain that a job was ever registered in, but Global, with the first of these registrations.
CREATE TABLE job_domain (
  org text COLLATE "C" NOT NULL,
  gen integer NOT NULL,
  name text COLLATE "C" NOT NULL,
  first_at timestamptz NOT NULL,
  first_id integer NOT NULL,
  CONSTRAINT job_domain_pkey PRIMARY KEY (org, gen, name)
);
INSERT INTO job_domain (org, gen, name, first_at, first_id)
SELECT DISTINCT ON (j.org, j.domain) j.org, 1, j.domain, j.registered_at, j.id
  FROM (SELECT org, gen, domain, (registration::json ->> 'registered_at')::timestamptz AS registered_at, id FROM job
        UNION ALL
        SELECT org, gen, domain, (residue::json ->> 'registered_at')::timestamptz, id FROM job_residue) AS j
  JOIN ledger_head AS h
    ON h.org = j.org AND j.gen = (h.projections -> 'jobs' ->> 'gen')::integer
 WHERE j.domain <> 'Global'
 ORDER BY j.org, j.domain, j.registered_at, j.id;

-- Projection "queues": one row a queue, also of one that was deleted.
CREATE TABLE queue (
  org text COLLATE "C" NOT NULL,
  gen integer NOT NULL,
  id integer NOT NULL,
  version integer NOT NULL,
  name text COLLATE "C" NOT NULL,
  owner text COLLATE "C" NOT NULL,
  durable boolean NOT NULL,
  created_at timestamptz NOT NULL,
  deleted_at timestamptz,
  CONSTRAINT queue_pkey PRIMARY KEY (org, gen, id)
);
CREATE UNIQUE INDEX queue_name_is_unique ON queue (org, gen, name, owner) WHERE deleted_at IS NULL;
CREATE INDEX queue_owner ON queue (org, gen, owner, id) WHERE deleted_at IS NULL;

-- Beside the ledger: when a queue was last used, the messages in it, and who takes them. consumer is whose a message is that was
-- given out and not yet acknowledged.
CREATE TABLE queue_use (
  org text COLLATE "C" NOT NULL,
  queue_id integer NOT NULL,
  used_at timestamptz NOT NULL,
  CONSTRAINT queue_use_pkey PRIMARY KEY (org, queue_id)
) WITH (fillfactor = 50);
-- Within an org messages are numbered under the lock of its head: in the order of what they tell.
CREATE SEQUENCE message_id AS bigint;
CREATE TABLE message (
  org text COLLATE "C" NOT NULL,
  queue_id integer NOT NULL,
  id bigint NOT NULL DEFAULT nextval('message_id'),
  put_at timestamptz NOT NULL,
  consumer uuid,
  body text NOT NULL,
  CONSTRAINT message_pkey PRIMARY KEY (org, queue_id, id)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
CREATE TABLE consumer (
  org text COLLATE "C" NOT NULL,
  queue_id integer NOT NULL,
  id uuid NOT NULL,
  auto_acknowledge boolean NOT NULL,
  position bigint NOT NULL,
  previous bigint,
  held bigint,
  used_at timestamptz NOT NULL,
  CONSTRAINT consumer_pkey PRIMARY KEY (org, queue_id, id)
) WITH (fillfactor = 50);

-- When work may be taken up; null: at once.
ALTER TABLE job_work ADD COLUMN scheduled_at timestamptz;
UPDATE job_work AS w
   SET scheduled_at = j.scheduled_at
  FROM job AS j
  JOIN ledger_head AS h
    ON h.org = j.org AND j.gen = (h.projections -> 'jobs' ->> 'gen')::integer
 WHERE w.org = j.org AND w.id = j.id AND j.scheduled_at IS NOT NULL;

UPDATE ledger_head SET projections = projections || '{"domains": {"gen": 1, "fold": 1}, "queues": {"gen": 1, "fold": 1}}'::jsonb;
UPDATE ledger_head
   SET projections = jsonb_set(projections, '{work,fold}', '2'::jsonb)
 WHERE projections -> 'work' ->> 'fold' = '1';
GRANT SELECT, INSERT, UPDATE, DELETE ON job_domain, queue, queue_use, message, consumer TO jobledger_app;
GRANT USAGE ON SEQUENCE message_id TO jobledger_app;
