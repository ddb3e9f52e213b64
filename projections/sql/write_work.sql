-- What is known of jobs that the ledger has to do itself, each once.
--   $1 org text    $2 gen integer    $3 ids integer[]    $4 kinds text[]    $5 claims integer[]    $6 reported_at timestamptz[]
--   $7 scheduled_at timestamptz[]
INSERT INTO job_work (org, gen, id, kind, claim, reported_at, scheduled_at)
SELECT $1::text, $2::integer, r.*
  FROM unnest($3::integer[], $4::text[], $5::integer[], $6::timestamptz[], $7::timestamptz[])
    AS r (id, kind, claim, reported_at, scheduled_at)
    ON CONFLICT (org, gen, id)
    DO UPDATE SET claim = EXCLUDED.claim, reported_at = EXCLUDED.reported_at
