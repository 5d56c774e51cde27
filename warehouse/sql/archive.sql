-- Queries about sealed days, on DuckDB but where the name says Postgres. {…} are names of our own, quoted by the caller.

-- sealed_lines --
-- Which files are sealed below this folder, in the order of sealing?
SELECT manifest_line FROM meta.sealed_files WHERE starts_with(path, ?) ORDER BY position

-- insert_sealed_file --
INSERT INTO meta.sealed_files
SELECT coalesce(max(position) + 1, 0), ?, ?, ? FROM meta.sealed_files

-- modified_times --
-- When was each file changed, as far as we know, in nanoseconds?
SELECT path, modified_ns FROM meta.sealed_files

-- set_modified_time --
UPDATE meta.sealed_files SET modified_ns = ? WHERE path = ?

-- ended_day --
-- On Postgres: which day (UTC) was over by its clock some minutes ago? now() is before any xid that is taken next.
SELECT (((now() - interval '{grace_minutes} minutes') AT TIME ZONE 'UTC')::date - 1)::text

-- fresh_xid --
-- On Postgres: all that were given out before are lower. It writes nothing.
SELECT pg_current_xact_id()::text

-- day_mark --
SELECT xid FROM meta.day_marks WHERE ended_date = ? AND system_identifier = ? AND database_oid = ?

-- insert_day_mark --
INSERT INTO meta.day_marks (ended_date, system_identifier, database_oid, xid) VALUES (?, ?, ?, ?)

-- delete_old_day_marks --
DELETE FROM meta.day_marks WHERE ended_date < ?

-- delete_later_day_marks --
DELETE FROM meta.day_marks WHERE ended_date > ?

-- last_closed_day --
-- Which is the last day whose mark has been reached by a snapshot of this xmin, of this database?
SELECT ended_date FROM meta.day_marks
WHERE xid <= ? AND system_identifier = ? AND database_oid = ?
ORDER BY ended_date DESC
LIMIT 1

-- hot_days --
-- Of which days up to this one are there hot rows?
SELECT DISTINCT CAST(received_at AT TIME ZONE 'UTC' AS DATE) AS received_date
FROM raw.{table}
WHERE received_date <= ?
ORDER BY received_date

-- hot_fingerprint --
SELECT count(*), coalesce(sum(from_hex('0' || substr(md5({text}), 1, 15))::BIT::BIGINT::HUGEINT), 0)
FROM raw.{table}
WHERE received_at >= TIMESTAMPTZ '{first}' AND received_at < TIMESTAMPTZ '{end}'

-- frame_fingerprint --
SELECT count(*), coalesce(sum(from_hex('0' || substr(md5({text}), 1, 15))::BIT::BIGINT::HUGEINT), 0)
FROM frame

-- postgres_fingerprint --
-- On Postgres: what has it of a day, as far as it was loaded?
SELECT count(*), coalesce(sum(('x' || substr(md5({text}), 1, 15))::bit(60)::bigint), 0)::text
FROM (
    SELECT {columns} FROM public.{table}
    WHERE
        received_at >= {first} AND received_at < {end}
        AND pg_visible_in_snapshot(xid, {loaded}::pg_snapshot)
        AND {chosen}
) AS loaded

-- write_part --
-- Sorted by the time that reports ask for, so that each row group spans little of it.
COPY (
    SELECT {columns} FROM raw.{table}
    WHERE received_at >= TIMESTAMPTZ '{first}' AND received_at < TIMESTAMPTZ '{end}'
    ORDER BY {order}
) TO {path} (
    FORMAT parquet, PARQUET_VERSION v2, COMPRESSION zstd, COMPRESSION_LEVEL {level}, ROW_GROUP_SIZE {row_group_rows}
)

-- delete_hot_day --
DELETE FROM raw.{table}
WHERE received_at >= TIMESTAMPTZ '{first}' AND received_at < TIMESTAMPTZ '{end}'

-- delete_sealed_rows --
-- Rows of a day that its files have already: only a load that takes everything anew brings them.
DELETE FROM raw.{table}
WHERE received_at >= TIMESTAMPTZ '{first}' AND received_at < TIMESTAMPTZ '{end}'
    AND event_id IN (SELECT event_id::UUID FROM read_parquet({paths}))

-- sealed_too --
-- Of which rows do these sealed files have the event?
event_id IN (SELECT event_id::UUID FROM read_parquet({paths}))

-- source_view --
-- What the models read of a table.
CREATE OR REPLACE VIEW sources.{table} AS
SELECT {columns} FROM raw.{table}

-- received_days_view --
-- How many rows are there of each day of receipt (UTC), and how many left its sealed files? No sealed file is opened: a line
-- of the manifest tells its rows, and one that replaces another takes those of the other back.
CREATE OR REPLACE VIEW sources.received_days AS
WITH lines AS (
    SELECT
        manifest_line ->> 'table_name' AS table_name,
        (manifest_line ->> 'received_date')::DATE AS received_date,
        (manifest_line ->> 'row_count')::BIGINT AS row_count,
        manifest_line ->> 'hash' AS hash,
        manifest_line ->> 'replaces' AS replaces
    FROM meta.sealed_files
),

counts AS (
    SELECT
        new.table_name,
        new.received_date,
        new.row_count - coalesce(old.row_count, 0) AS row_count,
        coalesce(old.row_count - new.row_count, 0) AS removed_row_count
    FROM lines AS new
    LEFT JOIN lines AS old ON new.replaces = old.hash
    UNION ALL
    {hot_days}
)

SELECT
    table_name,
    received_date,
    sum(row_count)::BIGINT AS row_count,
    sum(removed_row_count)::BIGINT AS removed_row_count
FROM counts
GROUP BY table_name, received_date

-- hot_day_counts --
SELECT '{table}', (received_at AT TIME ZONE 'UTC')::DATE, count(*), 0 FROM raw.{table} GROUP BY ALL

-- source_view_files --
UNION ALL
SELECT {columns} FROM read_parquet({paths})
