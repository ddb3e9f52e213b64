-- What is left of jobs that are gone, each once.
--   $1 org text    $2 gen integer    $3 ids integer[], $4 versions integer[], each as a literal    $5 domains text[]
--   $6 gone text[]    $7 gone_at timestamptz[]    $8 residues text[]
INSERT INTO job_residue (org, gen, id, version, domain, gone, gone_at, residue)
SELECT $1::text, $2::integer, id, version, domain, gone, gone_at, residue
  FROM unnest($3::text::integer[], $4::text::integer[], $5::text[], $6::text[], $7::timestamptz[], $8::text[])
    AS r (id, version, domain, gone, gone_at, residue)
    ON CONFLICT (org, gen, id)
    DO UPDATE SET version = EXCLUDED.version, gone = EXCLUDED.gone, gone_at = EXCLUDED.gone_at, residue = EXCLUDED.residue
