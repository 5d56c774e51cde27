-- Queries on Postgres; {…} are filled in by psycopg.sql, which quotes names and literals.

-- begin --
-- All tables are read as they were at one moment.
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY

-- snapshot --
-- Which moment is it, and of which database?
SELECT
    pg_current_snapshot()::text,
    (SELECT system_identifier::text FROM pg_control_system()),
    (SELECT oid::bigint FROM pg_database WHERE datname = current_database())

-- columns --
-- Which tables keep the xid of their rows, and which columns of which type do they have, in order?
SELECT c.relname::text, a.attname::text, t.typname::text
FROM pg_class AS c
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type AS t ON t.oid = a.atttypid
WHERE c.relnamespace = 'public'::regnamespace
    AND c.relkind IN ('r', 'p')
    AND NOT c.relispartition
    AND EXISTS (
        SELECT FROM pg_attribute AS x
        WHERE x.attrelid = c.oid AND x.atttypid = 'xid8'::regtype AND NOT x.attisdropped
    )
ORDER BY c.relname, a.attnum

-- everything --
-- Which rows does the snapshot see?
SELECT {columns} FROM public.{table}
WHERE pg_visible_in_snapshot(xid, {cur}::pg_snapshot)

-- difference --
-- Which rows does the snapshot :cur see that :prev did not?
SELECT {columns} FROM public.{table}
WHERE (
    (xid >= pg_snapshot_xmax({prev}::pg_snapshot) AND xid < pg_snapshot_xmax({cur}::pg_snapshot))
    OR xid = ANY (ARRAY(SELECT pg_snapshot_xip({prev}::pg_snapshot)))
)
AND pg_visible_in_snapshot(xid, {cur}::pg_snapshot)

-- keys --
-- Which keys are there?
SELECT {columns} FROM public.{table}

-- future_rows --
-- Are there visible rows whose xid this server has not given out yet? Only a restored dump brings them.
SELECT EXISTS (SELECT FROM public.{table} WHERE xid >= pg_snapshot_xmax({cur}::pg_snapshot))

-- adopt_rows --
-- Restored rows become rows of this server's own transaction.
UPDATE public.{table} SET xid = pg_current_xact_id()
WHERE xid >= pg_snapshot_xmax(pg_current_snapshot())

-- setting --
-- What does the admin want?
SELECT setting_value FROM admin_settings WHERE setting_key = %s

-- live_session_cutoff --
-- When must a live session have been heard of last, to count as live?
SELECT now() - make_interval(mins => %s)

-- delete_live_sessions --
-- One batch of stale sessions; rows that someone just now changes are left for the next run.
WITH stale AS (
    SELECT session_id FROM tracking_live_sessions
    WHERE last_heartbeat < %(cutoff)s
    ORDER BY last_heartbeat
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
DELETE FROM tracking_live_sessions AS live
USING stale
WHERE live.session_id = stale.session_id

-- make_event_partitions --
-- Make the daily partitions that are missing, up to so many days ahead.
SELECT make_event_partitions(%s)
