-- The first tracking position of a projection that an org has.
--   $1 org text    $2 projection text
INSERT INTO tracking (org, gen, projection, position)
SELECT org, (projections -> $2::text ->> 'gen')::integer, $2::text, 0
  FROM ledger_head
 WHERE org = $1::text AND projections ? $2::text
   AND NOT EXISTS (SELECT FROM tracking WHERE org = $1::text AND projection = $2::text)
    ON CONFLICT DO NOTHING;
