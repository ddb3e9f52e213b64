-- What the ledger must know and never tell, such as the password of a host that archives are copied to: encrypted with a key that
-- is not in the database. No events: a row is there while something is ahead that needs it, and then deleted.
-- ciphertext is AES-256-GCM with its tag, over org, id and purpose as associated data; key_id tells which key it was, without
-- telling the key. is_wanted: what needs it is recorded; until then it may be of a request that was cut off.
CREATE TABLE secret (
  org text COLLATE "C" NOT NULL,
  id uuid NOT NULL,
  purpose text COLLATE "C" NOT NULL,
  key_id bytea NOT NULL,
  nonce bytea NOT NULL,
  ciphertext bytea NOT NULL,
  is_wanted boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT secret_pkey PRIMARY KEY (org, id),
  CONSTRAINT secret_nonce_is_12_bytes CHECK (octet_length(nonce) = 12),
  CONSTRAINT secret_has_a_tag CHECK (octet_length(ciphertext) >= 16)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 100);
GRANT SELECT, INSERT, DELETE, UPDATE (is_wanted) ON secret TO jobledger_app;

-- Which secret key the servers of this installation have: an HMAC made with it, null until the first server of this release starts.
ALTER TABLE installation ADD COLUMN secret_key_mark text;
