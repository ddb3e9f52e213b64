-- Rows of jobs that a batch registered, as they are at its end.
--   $1 org text    $2 gen integer    $3 ids integer[], $4 versions integer[], $5 states text[], each as a literal    $6 types text[]
--   $7 domains text[]    $8 datastream ids text[]    $9 sources text[]    $10 external ids text[]    $11 body hashes text[]
--   $12 preceding job ids integer[]    $13 scheduled_at timestamptz[]    $14 started_at timestamptz[]
--   $15 ended_at timestamptz[]    $16 due_at timestamptz[]    $17 begins_at timestamptz[]    $18 final_at timestamptz[]
--   $19 imported boolean[]    $20 are closed boolean[]    $21 are held boolean[]    $22 retained_until timestamptz[]
--   $23 decisions text[]    $24 private text[]
--   $25 q bytea, packed: $26 starts, $27 lengths    $28 registrations bytea: $29, $30    $31 courses bytea: $32, $33
INSERT INTO job
       (org, gen, id, version, state, type, domain, datastream_id, source, external_id, body_hash, preceding_job_id,
        scheduled_at, started_at, ended_at, due_at, begins_at, final_at, imported, is_closed, is_held, retained_until,
        decisions, private, q, registration, course)
SELECT $1::text, $2::integer, id, version, state, type, domain, datastream_id, source, external_id, body_hash, preceding_job_id,
       scheduled_at, started_at, ended_at, due_at, begins_at, final_at, imported, is_closed, is_held, retained_until,
       decisions, private,
       convert_from(substr($25::bytea, q_start, q_length), 'UTF8'),
       convert_from(substr($28::bytea, registration_start, registration_length), 'UTF8'),
       convert_from(substr($31::bytea, course_start, course_length), 'UTF8')
  FROM unnest($3::text::integer[], $4::text::integer[], $5::text::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[],
              $11::text[], $12::integer[], $13::timestamptz[], $14::timestamptz[], $15::timestamptz[], $16::timestamptz[],
              $17::timestamptz[], $18::timestamptz[], $19::boolean[], $20::boolean[], $21::boolean[], $22::timestamptz[],
              $23::text[], $24::text[],
              $26::text::integer[], $27::text::integer[], $29::text::integer[], $30::text::integer[],
              $32::text::integer[], $33::text::integer[])
    AS r (id, version, state, type, domain, datastream_id, source, external_id, body_hash, preceding_job_id, scheduled_at, started_at,
          ended_at, due_at, begins_at, final_at, imported, is_closed, is_held, retained_until, decisions, private,
          q_start, q_length, registration_start, registration_length, course_start, course_length)
