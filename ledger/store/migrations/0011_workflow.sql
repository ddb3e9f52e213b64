-- Projection "diagrams". A version's content is a JSON object; number -1 is the draft.
CREATE TABLE diagram (
  org text COLLATE "C" NOT NULL,
  gen integer NOT NULL,
  id integer NOT NULL,
  version integer NOT NULL,
  name text NOT NULL,
  description text,
  active integer,
  is_deleted boolean NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  CONSTRAINT diagram_pkey PRIMARY KEY (org, gen, id)
);
CREATE TABLE diagram_version (
  org text COLLATE "C" NOT NULL,
  gen integer NOT NULL,
  id integer NOT NULL,
  number integer NOT NULL,
  content text NOT NULL,
  saved_at timestamptz NOT NULL,
  is_deleted boolean NOT NULL,
  CONSTRAINT diagram_version_pkey PRIMARY KEY (org, gen, id, number),
  CONSTRAINT diagram_version_number_is_known CHECK (number > 0 OR number = -1)
);

-- Projection "templates". Its defaults are a JSON object.
CREATE TABLE template (
  org text COLLATE "C" NOT NULL,
  gen integer NOT NULL,
  id integer NOT NULL,
  version integer NOT NULL,
  name text NOT NULL,
  diagram_id integer NOT NULL,
  defaults text NOT NULL,
  is_deleted boolean NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  CONSTRAINT template_pkey PRIMARY KEY (org, gen, id)
);
CREATE INDEX template_diagram ON template (org, gen, diagram_id);

-- What is attached to jobs: not ledger, but in every backup. Chunks are written before the event that records them; those
-- without a row in attachment are of an upload that is under way, or was cut off.
CREATE TABLE attachment (
  org text COLLATE "C" NOT NULL,
  id uuid NOT NULL,
  job_id integer NOT NULL,
  size_bytes bigint NOT NULL,
  chunk_count integer NOT NULL,
  CONSTRAINT attachment_pkey PRIMARY KEY (org, id)
);
CREATE INDEX attachment_job ON attachment (org, job_id);
CREATE TABLE attachment_chunk (
  org text COLLATE "C" NOT NULL,
  id uuid NOT NULL,
  number integer NOT NULL,
  body bytea NOT NULL,
  CONSTRAINT attachment_chunk_pkey PRIMARY KEY (org, id, number),
  CONSTRAINT attachment_chunk_number_is_positive CHECK (number > 0)
);
-- Attached bytes are compressed already, most of them, and are read whole: neither tried nor spread in pieces of 2 kB.
-- Nobody asks by them, and ANALYZE would keep samples of small ones where no removal reaches.
ALTER TABLE attachment_chunk ALTER COLUMN body SET STORAGE EXTERNAL, ALTER COLUMN body SET STATISTICS 0;

GRANT SELECT, INSERT, UPDATE, DELETE ON diagram, diagram_version, template TO jobledger_app;
GRANT SELECT, INSERT ON attachment, attachment_chunk TO jobledger_app;

-- Uploads that nothing has recorded yet, and when their last chunk was written: by which those cut off are known.
CREATE TABLE upload (
  org text COLLATE "C" NOT NULL,
  id uuid NOT NULL,
  touched_at timestamptz NOT NULL,
  CONSTRAINT upload_pkey PRIMARY KEY (org, id)
) WITH (fillfactor = 50);
GRANT SELECT, INSERT, UPDATE, DELETE ON upload TO jobledger_app;

-- The serving role removes bytes by functions alone. Their search_path is fixed to the schema that they are made in.
DO $make$
BEGIN
  -- Those of an upload that nothing recorded. Returns how many chunks went.
  EXECUTE format($definition$
CREATE FUNCTION discard_upload(in_org text, upload_id uuid) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = %1$I, pg_temp AS $body$
  WITH forgotten AS (
    DELETE FROM upload AS u WHERE u.org = in_org AND u.id = upload_id
  ), gone AS (
    DELETE FROM attachment_chunk AS c
     WHERE c.org = in_org AND c.id = upload_id
       AND NOT EXISTS (SELECT FROM attachment AS a WHERE a.org = in_org AND a.id = upload_id)
    RETURNING 1
  )
  SELECT count(*) FROM gone
$body$
$definition$, current_schema());

  -- Those that events cover, each of which must be there: a job.attachment_removed covers the attachment that it names, and the
  -- private content of the event that added it; a job.deleted or job.erased covers all attachments of its job.
  -- Returns how many attachments went. JL002: no such event, or one that covers nothing.
  EXECUTE format($definition$
CREATE FUNCTION remove_attachments(in_org text, in_streams text[], in_versions integer[]) RETURNS bigint
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
       AND e.type IN ('job.deleted', 'job.erased', 'job.attachment_removed')
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
REVOKE ALL ON FUNCTION discard_upload(text, uuid), remove_attachments(text, text[], integer[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION discard_upload(text, uuid), remove_attachments(text, text[], integer[]) TO jobledger_app;

UPDATE ledger_head
   SET projections = '{"diagrams": {"gen": 1, "fold": 1}, "templates": {"gen": 1, "fold": 1}}'::jsonb || projections;

-- By which the domains of an org are hopped through. What is counted is no part of it: counting stays in place.
CREATE INDEX job_count_domain ON job_count (org, gen, domain);
