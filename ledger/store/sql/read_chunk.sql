-- One chunk of an attachment.
--   $1 org text    $2 id uuid    $3 number integer
-- Returns body.
SELECT c.body
  FROM attachment_chunk AS c
  JOIN attachment AS a ON a.org = c.org AND a.id = c.id
 WHERE c.org = $1::text AND c.id = $2::uuid AND c.number = $3::integer;
