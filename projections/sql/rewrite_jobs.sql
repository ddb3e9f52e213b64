-- Whole rows of jobs of which what was registered changed too: their name or their priority.
--   $1 org text    $2 gen integer    $3 ids integer[], $4 versions integer[], $5 states text[], each as a literal
--   $6 started_at timestamptz[]    $7 ended_at timestamptz[]    $8 due_at timestamptz[]    $9 begins_at timestamptz[]
--   $10 final_at timestamptz[]    $11 are closed boolean[]    $12 are held boolean[]    $13 retained_until timestamptz[]
--   $14 decisions text[]    $15 private text[]    $16 courses bytea, packed: $17 starts, $18 lengths
--   $19 q bytea, packed: $20 starts, $21 lengths    $22 registrations bytea, packed: $23 starts, $24 lengths
UPDATE job
   SET version = r.version, state = r.state, started_at = r.started_at, ended_at = r.ended_at, due_at = r.due_at,
       begins_at = r.begins_at, final_at = r.final_at, is_closed = r.is_closed, is_held = r.is_held,
       retained_until = r.retained_until, decisions = r.decisions, private = r.private,
       course = convert_from(substr($16::bytea, r.start, r.length), 'UTF8'),
       q = convert_from(substr($19::bytea, r.q_start, r.q_length), 'UTF8'),
       registration = convert_from(substr($22::bytea, r.registration_start, r.registration_length), 'UTF8')
  FROM (SELECT u.*, (SELECT j.ctid FROM job AS j WHERE j.org = $1::text AND j.gen = $2::integer AND j.id = u.id) AS place
          FROM unnest($3::text::integer[], $4::text::integer[], $5::text::text[], $6::timestamptz[], $7::timestamptz[],
                      $8::timestamptz[], $9::timestamptz[], $10::timestamptz[], $11::boolean[], $12::boolean[],
                      $13::timestamptz[], $14::text[], $15::text[],
                      $17::text::integer[], $18::text::integer[], $20::text::integer[], $21::text::integer[],
                      $23::text::integer[], $24::text::integer[])
                 AS u (id, version, state, started_at, ended_at, due_at, begins_at, final_at, is_closed, is_held,
                       retained_until, decisions, private, start, length, q_start, q_length, registration_start,
                       registration_length)) AS r
 WHERE job.ctid = r.place
