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
ALTER TABLE attachment_chunk ALTER COLUMN body SET STORAGE EXTERNAL;

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

-- The serving role removes bytes by functions alone: here those of an upload that nothing recorded.
--   org, the upload's id    Returns how many chunks went.
CREATE FUNCTION discard_upload(of_org text, upload uuid) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  WITH forgotten AS (
    DELETE FROM public.upload AS u WHERE u.org = of_org AND u.id = upload
  ), gone AS (
    DELETE FROM public.attachment_chunk AS c
     WHERE c.org = of_org AND c.id = upload
       AND NOT EXISTS (SELECT FROM public.attachment AS a WHERE a.org = of_org AND a.id = upload)
    RETURNING 1
  )
  SELECT count(*) FROM gone
$$;
REVOKE ALL ON FUNCTION discard_upload(text, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION discard_upload(text, uuid) TO jobledger_app;

UPDATE ledger_head
   SET projections = '{"diagrams": {"gen": 1, "fold": 1}, "templates": {"gen": 1, "fold": 1}}'::jsonb || projections;

-- By which the domains of an org are hopped through. What is counted is no part of it: counting stays in place.
CREATE INDEX job_count_domain ON job_count (org, gen, domain);
