-- What others say of checkpoints: witnesses countersign them, and time stamping authorities date them. Only ever added to; number
-- is the order in which they came.
CREATE TABLE cosignature (
  org text COLLATE "C" NOT NULL,
  fork integer NOT NULL,
  size bigint NOT NULL,
  number integer NOT NULL,
  verifier_key text COLLATE "C" NOT NULL,
  line text NOT NULL,
  attached_by text COLLATE "C" NOT NULL,
  attached_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT cosignature_pkey PRIMARY KEY (org, fork, size, number),
  CONSTRAINT cosignature_is_one_of_each_witness UNIQUE (org, fork, size, verifier_key)
);

-- RFC 3161 tokens. covers is how many cosignatures stood below what was stamped; -1: the checkpoint's text alone.
CREATE TABLE checkpoint_timestamp (
  org text COLLATE "C" NOT NULL,
  fork integer NOT NULL,
  size bigint NOT NULL,
  number integer NOT NULL,
  token bytea NOT NULL,
  stamped_at timestamptz NOT NULL,
  covers integer NOT NULL,
  attached_by text COLLATE "C" NOT NULL,
  attached_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT checkpoint_timestamp_pkey PRIMARY KEY (org, fork, size, number)
);

GRANT SELECT, INSERT ON cosignature, checkpoint_timestamp TO jobledger_app;
