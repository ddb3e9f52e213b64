-- Projection "archives": one row an archive. order and counts are JSON objects.
CREATE TABLE archive (
  org text COLLATE "C" NOT NULL,
  gen integer NOT NULL,
  id integer NOT NULL,
  version integer NOT NULL,
  requested_at timestamptz NOT NULL,
  requested_by text COLLATE "C" NOT NULL,
  domains text[],
  told text NOT NULL,
  verified_at timestamptz,
  completed_at timestamptz,
  deleted_at timestamptz,
  CONSTRAINT archive_pkey PRIMARY KEY (org, gen, id)
);

-- Projection "archived_jobs": which jobs an archive holds, also once they are gone, and where in its file: places is JSON, as
-- the events have it. held_version is the last of the job's events that it holds.
CREATE TABLE archived_job (
  org text COLLATE "C" NOT NULL,
  gen integer NOT NULL,
  archive_id integer NOT NULL,
  job_id integer NOT NULL,
  held_version integer NOT NULL,
  type text COLLATE "C" NOT NULL,
  domain text COLLATE "C" NOT NULL,
  state text COLLATE "C" NOT NULL,
  registered_at timestamptz NOT NULL,
  scheduled_at timestamptz,
  started_at timestamptz,
  ended_at timestamptz NOT NULL,
  final_at timestamptz NOT NULL,
  imported boolean,
  gone text COLLATE "C",
  is_purged boolean NOT NULL,
  places text NOT NULL,
  CONSTRAINT archived_job_pkey PRIMARY KEY (org, gen, archive_id, job_id)
) WITH (fillfactor = 90);

UPDATE ledger_head
   SET projections = '{"archives": {"gen": 1, "fold": 1}, "archived_jobs": {"gen": 1, "fold": 1}}'::jsonb || projections;
GRANT SELECT, INSERT, UPDATE, DELETE ON archive, archived_job TO jobledger_app;

-- As in 0003: what the planner knows of these tables until they are first analysed for real.
DO $$
BEGIN
  IF EXISTS (SELECT FROM ledger_head) THEN
    RETURN;
  END IF;
  INSERT INTO archive (org, gen, id, version, requested_at, requested_by, told)
  SELECT 'Sample-' || n % 5, 1, n, 1, to_timestamp(n), 'principal-1', repeat('t', 200) FROM generate_series(1, 200) AS n;
  INSERT INTO archived_job (org, gen, archive_id, job_id, held_version, type, domain, state, registered_at, ended_at, final_at,
                            is_purged, places)
  SELECT 'Sample-' || n % 5, 1, n % 20, n, 5, 'type-' || n % 7, 'Global', 'SUCCESS', to_timestamp(n), to_timestamp(n), to_timestamp(n),
         true, '[[0,50000]]'
    FROM generate_series(1, 3000) AS n;
  ANALYZE archive, archived_job;
  DELETE FROM archive WHERE org LIKE 'Sample-%';
  DELETE FROM archived_job WHERE org LIKE 'Sample-%';
END
$$;

-- The one way for contents to leave the store: each event that is named must be there and cover what is removed. A job.deleted covers
-- the private contents of the events before it in its stream; a job.erased the same, or, as its content says, their whole contents; a
-- job.purged their whole contents, if the archive that it names was read back and verified: in its stream is an archive.verified.
-- Returns how many contents were removed, in whole or in part.
-- JL002: no such event, or one that covers nothing. Its search_path is fixed to the schema that it is made in.
DO $make$
BEGIN
  EXECUTE format($definition$
CREATE OR REPLACE FUNCTION remove_contents(in_org text, in_streams text[], in_versions integer[]) RETURNS bigint
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
    SELECT n.stream, n.version, e.type = 'job.purged' OR (e.type = 'job.erased' AND c.data ->> 'scope' = 'all') AS is_whole,
           CASE WHEN e.type = 'job.purged' THEN coalesce('archive-' || (c.data ->> 'archive_id'), '') END AS archive
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
       AND (e.type IN ('job.deleted', 'job.purged') OR (e.type = 'job.erased' AND c.data ->> 'scope' IN ('private', 'all')))
  ), unverified AS MATERIALIZED (
    -- Each archive is looked at once.
    SELECT a.stream
      FROM (SELECT DISTINCT archive AS stream FROM cover WHERE archive IS NOT NULL) AS a
     WHERE NOT EXISTS (
           SELECT FROM event AS e WHERE e.org = in_org AND e.stream = a.stream AND e.type = 'archive.verified' OFFSET 0)
  ), covered AS (
    SELECT e.position, bool_or(cover.is_whole) AS is_whole
      FROM cover
     CROSS JOIN LATERAL (
           SELECT position FROM event WHERE org = in_org AND stream = cover.stream AND version < cover.version OFFSET 0) AS e
     GROUP BY e.position
  )
  SELECT (SELECT count(*) FROM cover WHERE archive IS NULL OR archive NOT IN (SELECT stream FROM unverified)),
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
DO $make$
BEGIN
  -- Those that events cover, each of which must be there: a job.attachment_removed covers the attachment that it names, and the
  -- private content of the event that added it; a job.deleted, job.erased or job.purged covers all
  -- attachments of its job, the last if the archive that it names was verified.
  -- Returns how many attachments went. JL002: no such event, or one that covers nothing.
  EXECUTE format($definition$
CREATE OR REPLACE FUNCTION remove_attachments(in_org text, in_streams text[], in_versions integer[]) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = %1$I, pg_temp AS $body$
DECLARE
  covering integer;
  jobs integer[];
  named uuid[];
  unnamed bigint[];
  removed bigint;
BEGIN
  WITH cover AS MATERIALIZED (
    SELECT n.stream, n.version, e.type, c.data ->> 'attachment_id' AS attachment_id
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
       AND (e.type IN ('job.deleted', 'job.erased', 'job.attachment_removed')
            OR (e.type = 'job.purged' AND EXISTS (
                SELECT FROM event AS v
                 WHERE v.org = in_org AND v.stream = 'archive-' || (c.data ->> 'archive_id') AND v.type = 'archive.verified'
                OFFSET 0)))
  )
  SELECT (SELECT count(*) FROM cover),
         (SELECT array_agg(substr(stream, 5)::integer) FROM cover WHERE type <> 'job.attachment_removed'),
         (SELECT array_agg(a.id)
            FROM cover
            JOIN attachment AS a
              ON a.org = in_org AND a.id = attachment_id::uuid AND a.job_id = substr(cover.stream, 5)::integer
           WHERE type = 'job.attachment_removed'),
         (SELECT array_agg(added.position)
            FROM cover
           CROSS JOIN LATERAL (
                 SELECT e.position
                   FROM event AS e
                   JOIN content AS c ON c.org = e.org AND c.position = e.position
                  WHERE e.org = in_org AND e.stream = cover.stream AND e.version < cover.version
                    AND e.type = 'job.attachment_added'
                    AND convert_from(c.body, 'UTF8')::json -> 'data' ->> 'attachment_id' = cover.attachment_id
                 OFFSET 0) AS added
           WHERE cover.type = 'job.attachment_removed')
    INTO covering, jobs, named, unnamed;
  IF covering <> (SELECT count(DISTINCT (stream, version)) FROM unnest(in_streams, in_versions) AS u (stream, version)) THEN
    RAISE EXCEPTION 'attachments are removed only where an event covers it' USING ERRCODE = 'JL002';
  END IF;
  UPDATE content SET private = NULL WHERE org = in_org AND position = ANY (unnamed) AND private IS NOT NULL;
  WITH gone AS (
    DELETE FROM attachment WHERE org = in_org AND (id = ANY (named) OR job_id = ANY (jobs)) RETURNING id
  ), chunks AS (
    DELETE FROM attachment_chunk AS c USING gone WHERE c.org = in_org AND c.id = gone.id
  )
  SELECT count(*) FROM gone INTO removed;
  RETURN removed;
END
$body$
$definition$, current_schema());
END
$make$;
