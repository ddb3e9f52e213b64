-- Remove what some events cover, which are in the store by now: in this transaction, too.
--   $1 org text    $2 streams text[]    $3 versions integer[]
-- Returns how many contents were removed, in whole or in part, and how many attachments, null for none: most jobs have none,
-- and are not asked about again.
SELECT remove_contents($1::text, $2::text[], $3::integer[]),
       (SELECT remove_attachments($1::text, array_agg(u.stream), array_agg(u.version))
          FROM unnest($2::text[], $3::integer[]) AS u (stream, version)
         WHERE EXISTS (
               SELECT FROM attachment AS a WHERE a.org = $1::text AND a.job_id = substr(u.stream, 5)::integer OFFSET 0)
        HAVING count(*) > 0);
