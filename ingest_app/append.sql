-- Append events once each: a row whose event_id this table has seen before is left out, and noted there as come again.
-- How many rows were stored, how many of them by people, and how many had come before?
-- The names in braces are written by `store.py`. Ids are taken in their order, so that two writers that meet
-- wait for each other. `given` is read once, however often it is named.
WITH given AS (
    SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS incoming ({typed_columns})
),
ids AS (
    SELECT event_id, count(*)::integer AS times FROM given GROUP BY event_id
),
fresh AS (
    INSERT INTO event_ids (event_id, table_name, received_at, repeat_count, repeated_at)
    SELECT event_id, '{table}', :received_at, times - 1, CASE WHEN times > 1 THEN CAST(:received_at AS timestamptz) END
    FROM ids
    ORDER BY event_id
    ON CONFLICT DO NOTHING
    RETURNING event_id
),
known AS (
    SELECT event_ids.event_id, ids.times
    FROM ids
    JOIN event_ids ON event_ids.event_id = ids.event_id AND event_ids.table_name = '{table}'
    WHERE CAST(:notes_repeats AS boolean) AND NOT EXISTS (SELECT FROM fresh WHERE fresh.event_id = ids.event_id)
    ORDER BY event_ids.event_id
    FOR UPDATE OF event_ids
),
repeated AS (
    UPDATE event_ids SET repeat_count = repeat_count + known.times, repeated_at = :received_at
    FROM known
    WHERE event_ids.event_id = known.event_id AND event_ids.table_name = '{table}'
),
stored AS (
    INSERT INTO {table} ({columns}, received_at)
    SELECT {columns}, :received_at
    FROM (SELECT DISTINCT ON (event_id) * FROM given ORDER BY event_id) AS once
    JOIN fresh USING (event_id)
    RETURNING is_bot
)
SELECT
    count(*) AS stored,
    count(*) FILTER (WHERE NOT is_bot) AS human,
    (SELECT count(*) FROM given) - (SELECT count(*) FROM fresh) AS duplicate
FROM stored
