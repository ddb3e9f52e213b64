-- Which jobs archives hold, each job and archive once.
--   $1 org text    $2 gen integer    $3 archive ids integer[]    $4 job ids integer[]    $5 held versions integer[]    $6 types text[]
--   $7 domains text[]    $8 states text[]    $9 registered_at, $10 scheduled_at, $11 started_at, $12 ended_at, $13 final_at timestamptz[]
--   $14 imported boolean[], not as a literal as the others are    $15 gone text[]    $16 are purged boolean[]    $17 places text[]
INSERT INTO archived_job (org, gen, archive_id, job_id, held_version, type, domain, state, registered_at, scheduled_at, started_at,
                          ended_at, final_at, imported, gone, is_purged, places)
SELECT $1::text, $2::integer, r.*
  FROM unnest($3::text::integer[], $4::text::integer[], $5::text::integer[], $6::text::text[], $7::text::text[], $8::text::text[],
              $9::text::timestamptz[], $10::text::timestamptz[], $11::text::timestamptz[], $12::text::timestamptz[],
              $13::text::timestamptz[], $14::boolean[], $15::text::text[], $16::text::boolean[], $17::text::text[]) AS r
    ON CONFLICT (org, gen, archive_id, job_id)
    DO UPDATE SET gone = EXCLUDED.gone, is_purged = EXCLUDED.is_purged, places = EXCLUDED.places
