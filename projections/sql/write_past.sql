-- What never changes of jobs that were registered.
--   $1 org text    $2 gen integer    $3 ids integer[], $4 registered positions bigint[], each as a literal
--   $5 registered_at timestamptz[]    $6 types text[]    $7 domains text[]    $8 datastream ids text[]    $9 sources text[]
--   $10 external ids text[]    $11 scheduled_at timestamptz[]    $12 imported boolean[]
INSERT INTO job_past
       (org, gen, id, registered_position, registered_at, type, domain, datastream_id, source, external_id, scheduled_at, imported)
SELECT $1::text, $2::integer, id, registered_position, registered_at, type, domain, datastream_id, source, external_id,
       scheduled_at, imported
  FROM unnest($3::text::integer[], $4::text::bigint[], $5::timestamptz[], $6::text[], $7::text[], $8::text[], $9::text[],
              $10::text[], $11::timestamptz[], $12::boolean[])
    AS r (id, registered_position, registered_at, type, domain, datastream_id, source, external_id, scheduled_at, imported)
