-- Last signs of life of jobs' workers; one that comes late does not undo a later one.
--   $1 org text    $2 job ids integer[]    $3 beat_at timestamptz[]
INSERT INTO heartbeat (org, job_id, beat_at)
SELECT $1::text, job_id, max(beat_at)
  FROM unnest($2::integer[], $3::timestamptz[]) AS b (job_id, beat_at)
 GROUP BY job_id
    ON CONFLICT (org, job_id) DO UPDATE SET beat_at = greatest(heartbeat.beat_at, EXCLUDED.beat_at);
