-- What ends a batch that was decided ahead of the head's lock on a head that is no longer the head. The code is the ledger's own.
CREATE FUNCTION head_has_moved() RETURNS timestamptz
LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the ledger''s head has moved' USING ERRCODE = 'JL001';
END
$$;
