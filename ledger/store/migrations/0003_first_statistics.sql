-- What the planner knows of the tables until they are first analysed for real. Without it every condition seems to leave one
-- row, so that any index that begins with org is as good as the right one; a plan made then is kept, and reads whole tables.
-- The rows are gone again at the end; deleted, not truncated, which would also forget how many there were.
-- Only in a database that holds nothing, and under names that no org can have: an org's begins with a small letter.
DO $$
BEGIN
  IF EXISTS (SELECT FROM ledger_head) OR EXISTS (SELECT FROM event) THEN
    RETURN;
  END IF;
  INSERT INTO event (org, position, stream, version, type, recorded_at, header)
  SELECT 'Sample-' || n % 5, n, 'job-' || n / 15, 1 + (n / 5) % 3, 'type-' || n % 7, to_timestamp(n), ''
    FROM generate_series(0, 2999) AS n;
  INSERT INTO content (org, position, body)
  SELECT 'Sample-' || n % 5, n, '' FROM generate_series(0, 2999) AS n;
  INSERT INTO job (org, gen, id, version, state, type, domain, datastream_id, source, external_id, body_hash, preceding_job_id,
                   scheduled_at, started_at, due_at, q, registration, course)
  SELECT 'Sample-' || n % 5, 1, n, 1, (ARRAY['SCHEDULED', 'RUNNING', 'STALE'])[1 + n % 3], 'type-' || n % 7, 'Global', n % 50, 'source-' || n % 3, n, n, n - 1, to_timestamp(n),
         to_timestamp(n), to_timestamp(n), repeat('q', 40), repeat('d', 400), repeat('d', 200)
    FROM generate_series(1, 2000) AS n;
  INSERT INTO principal (org, gen, id, version, name, roles, home_domain)
  SELECT 'Sample-' || n % 5, 1, n, 1, 'name-' || n, ARRAY['client'], 'Global' FROM generate_series(1, 500) AS n;
  INSERT INTO credential (org, id, principal_id, kind, hash, created_at)
  SELECT 'Sample-' || n % 5, gen_random_uuid(), n, 'token', n::text::bytea, to_timestamp(n) FROM generate_series(1, 500) AS n;
  INSERT INTO idempotency (org, principal, key, request_hash, answer, recorded_at)
  SELECT 'Sample-' || n % 5, 'principal-' || n % 100, n, '', '', to_timestamp(n) FROM generate_series(1, 2000) AS n;
  ANALYZE event, content, job, principal, credential, idempotency;
  DELETE FROM event WHERE org LIKE 'Sample-%';
  DELETE FROM content WHERE org LIKE 'Sample-%';
  DELETE FROM job WHERE org LIKE 'Sample-%';
  DELETE FROM principal WHERE org LIKE 'Sample-%';
  DELETE FROM credential WHERE org LIKE 'Sample-%';
  DELETE FROM idempotency WHERE org LIKE 'Sample-%';
END
$$;
