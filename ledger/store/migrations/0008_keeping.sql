-- What keeps jobs, and how they go: retention, holds, the org's policy, deleting and erasing.

-- Of a job: when its final event was recorded; whether its end was told with its registration; and of what is decided about it that
-- by which lists filter: all null for most jobs.
ALTER TABLE job
  ADD COLUMN final_at timestamptz,
  ADD COLUMN imported boolean,
  ADD COLUMN is_closed boolean,
  ADD COLUMN is_held boolean,
  ADD COLUMN retained_until timestamptz;
UPDATE job
   SET final_at = e.recorded_at
  FROM (SELECT org, stream, max(recorded_at) AS recorded_at
          FROM event
         WHERE type IN ('job.succeeded', 'job.failed', 'job.cancelled', 'job.discarded')
         GROUP BY org, stream) AS e
 WHERE job.org = e.org AND e.stream = 'job-' || job.id;
UPDATE job SET is_closed = true WHERE decisions::jsonb -> 'closed' = 'true'::jsonb;
CREATE INDEX job_closed ON job (is_closed, org, gen, id) WHERE is_closed;
UPDATE ledger_head
   SET projections = jsonb_set(projections, '{jobs,fold}', '3'::jsonb)
 WHERE projections -> 'jobs' ->> 'fold' = '2';

-- What is left of jobs that are gone: their residue, a JSON object.
CREATE TABLE job_residue (
  org text COLLATE "C" NOT NULL,
  gen integer NOT NULL,
  id integer NOT NULL,
  version integer NOT NULL,
  domain text COLLATE "C" NOT NULL,
  gone text COLLATE "C" NOT NULL,
  gone_at timestamptz NOT NULL,
  residue text NOT NULL,
  CONSTRAINT job_residue_pkey PRIMARY KEY (org, gen, id)
);

-- Projection "policy": one row an org. policy is a JSON object, with all that was in force and still counts as windows.
CREATE TABLE org_policy (
  org text COLLATE "C" NOT NULL,
  gen integer NOT NULL,
  version integer NOT NULL,
  begun_at timestamptz NOT NULL,
  policy text,
  CONSTRAINT org_policy_pkey PRIMARY KEY (org, gen)
) WITH (fillfactor = 50);
INSERT INTO org_policy (org, gen, version, begun_at, policy)
SELECT org, 1, 1, recorded_at, NULL
  FROM event
 WHERE stream = 'org' AND version = 1;

-- Projection "holds". The criteria of one over a filter are columns; job_ids are those of one over a list.
CREATE TABLE hold (
  org text COLLATE "C" NOT NULL,
  gen integer NOT NULL,
  id integer NOT NULL,
  version integer NOT NULL,
  name text NOT NULL,
  reason text,
  placed_at timestamptz NOT NULL,
  released_at timestamptz,
  release_reason text,
  job_ids integer[],
  filter text,
  type text COLLATE "C",
  domain text COLLATE "C",
  datastream_id text COLLATE "C",
  source text COLLATE "C",
  external_id text COLLATE "C",
  state text COLLATE "C",
  registered_from timestamptz,
  registered_to timestamptz,
  scheduled_from timestamptz,
  scheduled_to timestamptz,
  started_from timestamptz,
  started_to timestamptz,
  ended_from timestamptz,
  ended_to timestamptz,
  CONSTRAINT hold_pkey PRIMARY KEY (org, gen, id),
  CONSTRAINT hold_is_over_jobs_or_a_filter CHECK ((job_ids IS NULL) <> (filter IS NULL))
);
CREATE INDEX hold_active_filter ON hold (org, gen, id) WHERE filter IS NOT NULL AND released_at IS NULL;

UPDATE ledger_head
   SET projections = projections || '{"policy": {"gen": 1, "fold": 1}, "holds": {"gen": 1, "fold": 1}}'::jsonb;
GRANT SELECT, INSERT, UPDATE, DELETE ON job_residue, org_policy, hold TO jobledger_app;

-- The one way for contents to leave the store: each event that is named must be there and cover what is removed. A job.deleted covers
-- the private contents of the events before it in its stream; a job.erased the same, or, as its content says, their whole contents.
-- Returns how many contents were removed, in whole or in part.
-- JL002: no such event, or one that covers nothing. Its search_path is fixed to the schema that it is made in.
DO $make$
BEGIN
  EXECUTE format($definition$
CREATE FUNCTION remove_contents(in_org text, in_streams text[], in_versions integer[]) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = %I, pg_temp AS $body$
DECLARE
  covering integer;
  private_of bigint[];
  whole_of bigint[];
  removed bigint;
  erased bigint;
BEGIN
  -- LATERAL with OFFSET 0: one lookup for each, whatever the planner knows of the tables.
  WITH cover AS MATERIALIZED (
    SELECT n.stream, n.version, e.type = 'job.erased' AND c.data ->> 'scope' = 'all' AS is_whole
      FROM (SELECT DISTINCT stream, version FROM unnest(in_streams, in_versions) AS u (stream, version)) AS n
     CROSS JOIN LATERAL (
           SELECT position, type, convert_from(header, 'UTF8')::json ->> 'content' AS hash
             FROM event
            WHERE org = in_org AND stream = n.stream AND version = n.version
           OFFSET 0) AS e
     CROSS JOIN LATERAL (
           SELECT convert_from(body, 'UTF8')::json -> 'data' AS data
             FROM content
            WHERE org = in_org AND position = e.position AND encode(sha256(body), 'hex') = e.hash
           OFFSET 0) AS c
     WHERE n.stream LIKE 'job-%%'
       AND (e.type = 'job.deleted' OR (e.type = 'job.erased' AND c.data ->> 'scope' IN ('private', 'all')))
  ), covered AS (
    SELECT e.position, bool_or(cover.is_whole) AS is_whole
      FROM cover
     CROSS JOIN LATERAL (
           SELECT position FROM event WHERE org = in_org AND stream = cover.stream AND version < cover.version OFFSET 0) AS e
     GROUP BY e.position
  )
  SELECT (SELECT count(*) FROM cover),
         (SELECT array_agg(position) FROM covered WHERE NOT is_whole),
         (SELECT array_agg(position) FROM covered WHERE is_whole)
    INTO covering, private_of, whole_of;
  IF covering <> (SELECT count(DISTINCT (stream, version)) FROM unnest(in_streams, in_versions) AS u (stream, version)) THEN
    RAISE EXCEPTION 'contents are removed only where an event covers it' USING ERRCODE = 'JL002';
  END IF;
  UPDATE content SET private = NULL WHERE org = in_org AND position = ANY (private_of) AND private IS NOT NULL;
  GET DIAGNOSTICS removed = ROW_COUNT;
  DELETE FROM content WHERE org = in_org AND position = ANY (whole_of);
  GET DIAGNOSTICS erased = ROW_COUNT;
  RETURN removed + erased;
END
$body$
$definition$, current_schema());
END
$make$;
REVOKE ALL ON FUNCTION remove_contents(text, text[], integer[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION remove_contents(text, text[], integer[]) TO jobledger_app;
