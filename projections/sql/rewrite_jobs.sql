-- Whole rows of jobs of which what was registered changed too: their name or their priority.
--   $1 org text    $2 gen integer    $3 ids integer[], $4 versions integer[], $5 states text[], each as a literal
--   $6 started_at timestamptz[]    $7 ended_at timestamptz[]    $8 due_at timestamptz[]    $9 begins_at timestamptz[]
--   $10 decisions text[]    $11 private text[]    $12 courses bytea, packed: $13 starts, $14 lengths
--   $15 q bytea, packed: $16 starts, $17 lengths    $18 registrations bytea, packed: $19 starts, $20 lengths
UPDATE job
   SET version = r.version, state = r.state, started_at = r.started_at, ended_at = r.ended_at, due_at = r.due_at,
       begins_at = r.begins_at, decisions = r.decisions, private = r.private,
       course = convert_from(substr($12::bytea, r.start, r.length), 'UTF8'),
       q = convert_from(substr($15::bytea, r.q_start, r.q_length), 'UTF8'),
       registration = convert_from(substr($18::bytea, r.registration_start, r.registration_length), 'UTF8')
  FROM (SELECT u.*, (SELECT j.ctid FROM job AS j WHERE j.org = $1::text AND j.gen = $2::integer AND j.id = u.id) AS place
          FROM unnest($3::text::integer[], $4::text::integer[], $5::text::text[], $6::timestamptz[], $7::timestamptz[],
                      $8::timestamptz[], $9::timestamptz[], $10::text[], $11::text[],
                      $13::text::integer[], $14::text::integer[], $16::text::integer[], $17::text::integer[],
                      $19::text::integer[], $20::text::integer[])
                 AS u (id, version, state, started_at, ended_at, due_at, begins_at, decisions, private, start, length,
                       q_start, q_length, registration_start, registration_length)) AS r
 WHERE job.ctid = r.place
