-- What was refused is found by position, of all the events of a ledger that it is rare among.
CREATE INDEX event_denied ON event (org, position) WHERE type = 'access.denied';
