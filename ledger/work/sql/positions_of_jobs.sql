-- Where the events of some jobs stand, each job's up to a version.
--   $1 org text    $2 job ids integer[]    $3 versions integer[]
-- Returns one row: counts, how many events each job has, in the order given; positions, all of them as 8 bytes each, most significant
-- first, job by job in the order of versions.
SELECT array_agg(e.number ORDER BY j.place) AS counts,
       coalesce(string_agg(e.positions, ''::bytea ORDER BY j.place), ''::bytea) AS positions
  FROM unnest($2::integer[], $3::integer[]) WITH ORDINALITY AS j (id, version, place)
 CROSS JOIN LATERAL (
       SELECT count(*)::integer AS number, string_agg(int8send(position), ''::bytea ORDER BY version) AS positions
         FROM event
        WHERE org = (SELECT $1::text) AND stream = 'job-' || j.id AND version <= j.version
       OFFSET 0) AS e;
