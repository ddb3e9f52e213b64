-- As remove_contents, of events that cover private contents and no others.
--   $1 org text    $2 streams text[]    $3 versions integer[]
-- Returns how many private contents were removed, and how many attachments, null for none: most jobs have neither, and are not
-- asked about again.
SELECT (SELECT remove_contents($1::text, array_agg(u.stream), array_agg(u.version))
          FROM unnest($2::text[], $3::integer[]) AS u (stream, version)
         WHERE EXISTS (
               SELECT FROM event AS e
                WHERE e.org = $1::text AND e.stream = u.stream AND e.version < u.version
                  AND EXISTS (
                      SELECT FROM content AS c
                       WHERE c.org = $1::text AND c.position = e.position AND c.private IS NOT NULL OFFSET 0)
               OFFSET 0)
        HAVING count(*) > 0),
       (SELECT remove_attachments($1::text, array_agg(u.stream), array_agg(u.version))
          FROM unnest($2::text[], $3::integer[]) AS u (stream, version)
         WHERE EXISTS (
               SELECT FROM attachment AS a WHERE a.org = $1::text AND a.job_id = substr(u.stream, 5)::integer OFFSET 0)
        HAVING count(*) > 0);
