-- Let an org have a projection that follows the ledger and that it has not yet.
--   $1 org text    $2 projection text    $3 fold version integer
UPDATE ledger_head
   SET projections = projections || jsonb_build_object($2::text, jsonb_build_object('gen', 1, 'fold', $3::integer))
 WHERE org = $1::text AND NOT projections ? $2::text;
