-- Queries about one event on its way: which load brought it, where its row is, which rows of marts count it. On DuckDB;
-- {…} are names and expressions of our own.

-- forget_loads --
-- What is taken anew came with no earlier load; and no load is kept for ever.
DELETE FROM meta.loads WHERE table_name = ? AND (? OR loaded_at < ?::TIMESTAMPTZ - INTERVAL '{keep_days} days')

-- insert_load --
INSERT INTO meta.loads
SELECT
    $table_name, $run_id, $loaded_at::TIMESTAMPTZ, $row_count,
    $previous_snapshot, $snapshot

-- loads_after --
-- Which loads of a table are later than the beginning of a transaction, the earliest first?
SELECT run_id, loaded_at, previous_snapshot, snapshot
FROM meta.loads
WHERE table_name = ? AND split_part(snapshot, ':', 2)::UBIGINT > ?
ORDER BY loaded_at

-- hot_row --
-- Which hot row of a table is this event?
SELECT {columns} FROM raw.{table} WHERE event_id = ?

-- sealed_row --
-- Which rows of files with the same columns are this event, and in which file is each? As bytes, by which a row group
-- is skipped without being read.
SELECT filename, {columns} FROM read_parquet({paths}, filename = true) WHERE event_id::BLOB = ?

-- refresh --
-- What does the published file show?
SELECT refreshed_at, snapshot FROM meta.refresh

-- published_marts --
SELECT table_name FROM meta.refresh_tables

-- mart_row --
-- Which row of a mart does the event fall into, and what is counted there? `event` has the columns of its raw row.
WITH event AS (SELECT {event}),

traced AS (SELECT {key} FROM event)

SELECT traced.*, {columns} FROM traced LEFT JOIN marts.{mart} AS mart ON {same}

-- mart_counts --
-- By which columns of the mart is the event counted, of those that can?
SELECT {counted} FROM (SELECT {event}) AS event
