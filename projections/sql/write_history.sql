-- How jobs stood, from a position to before another.
--   $1 org text    $2 gen integer    $3 ids integer[], $4 from positions bigint[], $5 until positions bigint[], $6 levels smallint[],
--   $7 states text[], each as a literal    $8 started_at timestamptz[]    $9 ended_at timestamptz[]    $10 final_at timestamptz[]
--   $11 are closed boolean[]    $12 are held boolean[]    $13 retained_until timestamptz[]    $14 q bytea, packed: $15, $16
INSERT INTO job_history
       (org, gen, id, from_position, until_position, level, state, started_at, ended_at, final_at, is_closed, is_held,
        retained_until, q)
SELECT $1::text, $2::integer, id, from_position, until_position, level, state, started_at, ended_at, final_at, is_closed, is_held,
       retained_until, convert_from(substr($14::bytea, start, length), 'UTF8')
  FROM unnest($3::text::integer[], $4::text::bigint[], $5::text::bigint[], $6::text::smallint[], $7::text::text[],
              $8::timestamptz[], $9::timestamptz[], $10::timestamptz[], $11::boolean[], $12::boolean[], $13::timestamptz[],
              $15::text::integer[], $16::text::integer[])
    AS r (id, from_position, until_position, level, state, started_at, ended_at, final_at, is_closed, is_held, retained_until,
          start, length)
