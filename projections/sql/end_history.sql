-- From these positions on jobs stood otherwise than their last rows say.
--   $1 org text    $2 gen integer    $3 ids integer[], $4 positions bigint[], each as a literal
UPDATE job_history
   SET until_position = r.position, level = length(ltrim((r.position - from_position)::bit(63)::text, '0')) - 1
  FROM (SELECT u.position,
               (SELECT h.ctid
                  FROM job_history AS h
                 WHERE h.org = $1::text AND h.gen = $2::integer AND h.id = u.id
                 ORDER BY h.from_position DESC
                 LIMIT 1) AS place
          FROM unnest($3::text::integer[], $4::text::bigint[]) AS u (id, position)) AS r
 WHERE job_history.ctid = r.place
