-- What is left of jobs that are gone, each once.
--   $1 org text    $2 gen integer    $3 ids integer[], $4 versions integer[], $5 domains text[], $6 gone text[], $7 gone_at timestamptz[],
--   each as a literal    $8 residues bytea, packed: $9 starts, $10 lengths
INSERT INTO job_residue (org, gen, id, version, domain, gone, gone_at, residue)
SELECT $1::text, $2::integer, id, version, domain, gone, gone_at, convert_from(substr($8::bytea, start, length), 'UTF8')
  FROM unnest($3::text::integer[], $4::text::integer[], $5::text::text[], $6::text::text[], $7::text::timestamptz[],
              $9::text::integer[], $10::text::integer[])
    AS r (id, version, domain, gone, gone_at, start, length)
    ON CONFLICT (org, gen, id)
    DO UPDATE SET version = EXCLUDED.version, gone = EXCLUDED.gone, gone_at = EXCLUDED.gone_at, residue = EXCLUDED.residue
