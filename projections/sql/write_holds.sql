-- Rows of holds that a batch changed, each once.
--   $1 org text    $2 gen integer    $3 ids integer[]    $4 versions integer[]    $5 names text[]    $6 reasons text[]
--   $7 placed_at timestamptz[]    $8 released_at timestamptz[]    $9 release reasons text[]    $10 job ids text[], each an array's
--   literal: arrays of arrays must be of one length    $11 filters text[], JSON objects, whose members are columns too
INSERT INTO hold (org, gen, id, version, name, reason, placed_at, released_at, release_reason, job_ids, filter,
                  type, domain, datastream_id, source, external_id, state, registered_from, registered_to,
                  scheduled_from, scheduled_to, started_from, started_to, ended_from, ended_to)
SELECT $1::text, $2::integer, r.id, r.version, r.name, r.reason, r.placed_at, r.released_at, r.release_reason,
       r.job_ids::integer[], r.filter,
       f.type, f.domain, f.datastream_id, f.source, f.external_id, f.state, f.registered_from, f.registered_to,
       f.scheduled_from, f.scheduled_to, f.started_from, f.started_to, f.ended_from, f.ended_to
  FROM unnest($3::integer[], $4::integer[], $5::text[], $6::text[], $7::timestamptz[], $8::timestamptz[], $9::text[],
              $10::text[], $11::text[])
    AS r (id, version, name, reason, placed_at, released_at, release_reason, job_ids, filter)
 CROSS JOIN LATERAL json_to_record(coalesce(r.filter, '{}')::json)
    AS f (type text, domain text, datastream_id text, source text, external_id text, state text,
          registered_from timestamptz, registered_to timestamptz, scheduled_from timestamptz, scheduled_to timestamptz,
          started_from timestamptz, started_to timestamptz, ended_from timestamptz, ended_to timestamptz)
    ON CONFLICT (org, gen, id)
    DO UPDATE SET version = EXCLUDED.version, released_at = EXCLUDED.released_at, release_reason = EXCLUDED.release_reason
