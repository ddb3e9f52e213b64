-- How far each org's ledger and its newest checkpoint are.
-- Returns org, size, last_leaf, and of the checkpoint fork, signed_size, root (null where there is none).
SELECT h.org, h.size, h.last_leaf, c.fork, c.size AS signed_size, c.root
  FROM ledger_head AS h
  LEFT JOIN LATERAL (SELECT fork, size, root
                       FROM checkpoint
                      WHERE org = h.org
                      ORDER BY fork DESC, size DESC
                      LIMIT 1) AS c ON true
 WHERE h.size > 0
 ORDER BY h.org;
