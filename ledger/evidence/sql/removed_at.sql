-- Where streams last had an event that contents before it were removed by.
--   $1 org text    $2 streams text[]
-- Returns stream, whole (of what is removed whole, null for none), private (of what is private, or whole); no row for a stream
-- that had none.
SELECT e.stream,
       -- Looked for as bytes: what somebody altered need be no JSON.
       max(e.position) FILTER (WHERE e.type = 'job.purged'
                                  OR (e.type = 'job.erased'
                                      AND position('"scope":"all"'::bytea IN c.body) > 0)) AS whole,
       max(e.position) AS private
  FROM event AS e
  LEFT JOIN content AS c ON c.org = e.org AND c.position = e.position
 WHERE e.org = (SELECT $1::text)
   AND e.stream = ANY ($2::text[])
   AND e.type IN ('job.purged', 'job.deleted', 'job.erased', 'job.attachment_removed')
 GROUP BY e.stream;
