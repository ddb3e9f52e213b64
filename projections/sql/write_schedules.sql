-- Rows of schedules that a batch changed, each once.
--   $1 org text    $2 gen integer    $3 ids uuid[]    $4 versions integer[]    $5 numbers integer[]    $6 kinds text[]
--   $7 expressions text[]    $8 actions text[], JSON objects    $9 created by text[]    $10 created_at timestamptz[]
--   $11 since timestamptz[]    $12 next_at timestamptz[]    $13 paused_at timestamptz[]    $14 deleted_at timestamptz[]
--   $15 last_due_at timestamptz[]    $16 last_executed_at timestamptz[]    $17 last job ids integer[]    $18 fires bigint[]
--   $19 missed bigint[]
INSERT INTO schedule (org, gen, id, version, number, kind, expression, action, created_by, created_at, since, next_at, paused_at,
                      deleted_at, last_due_at, last_executed_at, last_job_id, fires, missed)
SELECT $1::text, $2::integer, r.*
  FROM unnest($3::uuid[], $4::integer[], $5::integer[], $6::text[], $7::text[], $8::text[], $9::text[], $10::timestamptz[],
              $11::timestamptz[], $12::timestamptz[], $13::timestamptz[], $14::timestamptz[], $15::timestamptz[],
              $16::timestamptz[], $17::integer[], $18::bigint[], $19::bigint[]) AS r
    ON CONFLICT (org, gen, id)
    DO UPDATE SET version = EXCLUDED.version, since = EXCLUDED.since, next_at = EXCLUDED.next_at, paused_at = EXCLUDED.paused_at,
                  deleted_at = EXCLUDED.deleted_at, last_due_at = EXCLUDED.last_due_at,
                  last_executed_at = EXCLUDED.last_executed_at, last_job_id = EXCLUDED.last_job_id, fires = EXCLUDED.fires,
                  missed = EXCLUDED.missed
