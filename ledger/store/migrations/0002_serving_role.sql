-- What a serving connection may do. Events and contents: append and read, nothing else.
GRANT SELECT ON installation, schema_migration TO jobledger_app;
GRANT SELECT, INSERT ON event, content TO jobledger_app;
GRANT SELECT, INSERT, UPDATE ON ledger_head TO jobledger_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency, credential, heartbeat, lease, outage, job, principal TO jobledger_app;
