-- Batches decided without the head's lock. One that is decided on a head that is no longer the head ends with this; the code is the
-- ledger's own.
CREATE FUNCTION head_has_moved() RETURNS timestamptz
LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the ledger''s head has moved' USING ERRCODE = 'JL001';
END
$$;

-- Raised to shut out such a batch of which it is not known whether Postgres has yet begun to write it.
ALTER TABLE ledger_head ADD COLUMN fence bigint NOT NULL DEFAULT 0;
