-- Evidence: the tree over an org's events, and its signed heads. What is written here is never changed.

-- The tree's full tiles of a history (1, and one more after each fork): 256 hashes, and their root. Partial ones are made of what
-- stands below them: headers, or roots of tiles.
CREATE TABLE tile (
  org text COLLATE "C" NOT NULL,
  fork integer NOT NULL,
  level integer NOT NULL,
  number bigint NOT NULL,
  hashes bytea NOT NULL,
  root bytea NOT NULL,
  CONSTRAINT tile_pkey PRIMARY KEY (org, fork, level, number),
  CONSTRAINT tile_is_full CHECK (octet_length(hashes) = 8192 AND octet_length(root) = 32)
);
-- Hashes cannot be compressed; and roots are read without them.
ALTER TABLE tile ALTER COLUMN hashes SET STORAGE EXTERNAL;

CREATE TABLE checkpoint (
  org text COLLATE "C" NOT NULL,
  fork integer NOT NULL,
  size bigint NOT NULL,
  root bytea NOT NULL,
  note bytea NOT NULL,
  public_key bytea NOT NULL,
  signed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT checkpoint_pkey PRIMARY KEY (org, fork, size),
  CONSTRAINT checkpoint_size_is_positive CHECK (size > 0)
);

GRANT SELECT, INSERT ON tile, checkpoint TO jobledger_app;
