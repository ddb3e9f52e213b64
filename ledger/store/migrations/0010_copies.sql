-- Projection "copies": the copies of storage policies.
CREATE TABLE storage_copy (
  org text COLLATE "C" NOT NULL,
  gen integer NOT NULL,
  id integer NOT NULL,
  version integer NOT NULL,
  name text COLLATE "C" NOT NULL,
  storage_policy_id integer NOT NULL,
  storage_policy_name text COLLATE "C" NOT NULL,
  commcell_id integer NOT NULL,
  copy_type integer NOT NULL,
  precedence integer NOT NULL,
  is_default boolean NOT NULL,
  is_snap boolean NOT NULL,
  is_active boolean NOT NULL,
  registered_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  CONSTRAINT storage_copy_pkey PRIMARY KEY (org, gen, id)
);
CREATE INDEX storage_copy_policy ON storage_copy (org, gen, storage_policy_id, id);

-- Projection "job_copies": on which copies a job is, with what a copy's list of jobs is narrowed by.
CREATE TABLE job_copy (
  org text COLLATE "C" NOT NULL,
  gen integer NOT NULL,
  copy_id integer NOT NULL,
  job_id integer NOT NULL,
  state text COLLATE "C" NOT NULL,
  is_deleted boolean NOT NULL,
  domain text COLLATE "C" NOT NULL,
  begins_at timestamptz NOT NULL,
  level text COLLATE "C",
  client_id integer,
  subclient_id integer,
  CONSTRAINT job_copy_pkey PRIMARY KEY (org, gen, copy_id, job_id),
  CONSTRAINT job_copy_state_is_known CHECK (state IN ('available', 'to_be_copied', 'not_to_be_copied'))
) WITH (fillfactor = 80);
CREATE INDEX job_copy_begins ON job_copy (org, gen, copy_id, begins_at, job_id);
CREATE INDEX job_copy_archiver ON job_copy (org, gen, copy_id, subclient_id, job_id) WHERE level = 'Archive';

-- And which jobs a job requires, both ways round.
CREATE TABLE job_requirement (
  org text COLLATE "C" NOT NULL,
  gen integer NOT NULL,
  required_id integer NOT NULL,
  job_id integer NOT NULL,
  CONSTRAINT job_requirement_pkey PRIMARY KEY (org, gen, required_id, job_id)
);

-- What the fold makes of the jobs that there were before: on no copy, but perhaps requiring others.
INSERT INTO job_requirement (org, gen, required_id, job_id)
SELECT DISTINCT j.org, 1, r.id::integer, j.id
  FROM ledger_head AS h
  JOIN job AS j ON j.org = h.org AND j.gen = (h.projections -> 'jobs' ->> 'gen')::integer
 CROSS JOIN LATERAL json_array_elements_text(j.registration::json -> 'required_job_ids') AS r (id)
 WHERE j.registration LIKE '%"required_job_ids"%';
UPDATE ledger_head
   SET projections = '{"copies": {"gen": 1, "fold": 1}, "job_copies": {"gen": 1, "fold": 1}}'::jsonb || projections;

-- As in 0003: what the planner knows of these tables until they are first analysed for real.
DO $$
BEGIN
  IF EXISTS (SELECT FROM ledger_head) THEN
    RETURN;
  END IF;
  INSERT INTO job_copy (org, gen, copy_id, job_id, state, is_deleted, domain, begins_at, level, client_id, subclient_id)
  SELECT 'Sample-' || n % 5, 1, n % 10, n, 'available', false, 'Global', to_timestamp(n), 'Incremental', n % 50, n % 100
    FROM generate_series(1, 2000) AS n;
  INSERT INTO job_requirement (org, gen, required_id, job_id)
  SELECT 'Sample-' || n % 5, 1, n - 5, n FROM generate_series(6, 2005) AS n;
  INSERT INTO storage_copy (org, gen, id, version, name, storage_policy_id, storage_policy_name, commcell_id, copy_type, precedence,
                            is_default, is_snap, is_active, registered_at, updated_at)
  SELECT 'Sample-' || n % 5, 1, n, 1, 'name-' || n, n % 20, 'name', 2, 1, 1, false, false, true, to_timestamp(n), to_timestamp(n)
    FROM generate_series(1, 200) AS n;
  ANALYZE job_copy, job_requirement, storage_copy;
  DELETE FROM job_copy WHERE org LIKE 'Sample-%';
  DELETE FROM job_requirement WHERE org LIKE 'Sample-%';
  DELETE FROM storage_copy WHERE org LIKE 'Sample-%';
END
$$;
GRANT SELECT, INSERT, UPDATE, DELETE ON storage_copy, job_copy, job_requirement TO jobledger_app;
