-- Whether a range of streams has at least so many events.
--   $1 org text    $2 from stream text    $3 before stream text    $4 how many integer
-- Returns are_many.
SELECT count(*) = $4::integer AS are_many
  FROM (SELECT 1
          FROM event
         WHERE org = (SELECT $1::text) AND stream >= $2::text AND stream < $3::text
         LIMIT $4::integer) AS found;
