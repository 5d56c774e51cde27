-- Queries about the lake, on DuckDB but where the name says Postgres. {…} are names of our own, quoted by the caller.

-- is_view --
SELECT count(*) > 0 FROM duckdb_views()
WHERE database_name = current_database() AND schema_name = 'raw' AND view_name = ?

-- hot_files --
-- Which files hold the hot rows, in the order of days?
SELECT path, table_name, received_date, row_count, byte_count, sha256, newest_received_at
FROM meta.hot_files
WHERE table_name = coalesce(?, table_name)
ORDER BY table_name, received_date, path

-- insert_hot_file --
INSERT INTO meta.hot_files VALUES (?, ?, ?, ?, ?, ?, ?)

-- delete_hot_file --
DELETE FROM meta.hot_files WHERE path = ?

-- delete_hot_files --
DELETE FROM meta.hot_files WHERE table_name = ?

-- hot_view --
CREATE OR REPLACE VIEW raw.{table} AS
SELECT {columns} FROM {source}

-- hot_view_files --
read_parquet({paths}, hive_partitioning = false)

-- hot_view_nothing --
(SELECT {nulls}) WHERE false

-- drop_view --
DROP VIEW raw.{table}

-- drop_table --
DROP TABLE raw.{table}

-- put_view_aside --
ALTER VIEW raw.{table} RENAME TO {table}_before

-- take_back --
INSERT INTO raw.{table} ({columns}) SELECT {columns} FROM raw.{table}_before

-- drop_view_aside --
DROP VIEW raw.{table}_before

-- days_of_table --
-- Of which days of receipt (UTC) are there rows?
SELECT DISTINCT CAST(received_at AT TIME ZONE 'UTC' AS DATE) AS received_date FROM raw.{table} ORDER BY received_date

-- day_of_table --
FROM raw.{table}
WHERE received_at >= TIMESTAMPTZ '{first}' AND received_at < TIMESTAMPTZ '{end}'

-- has_rows --
SELECT count(*) > 0 FROM (FROM raw.{table} LIMIT 1)

-- write_hot_file --
-- In no order: the seal sorts.
COPY (SELECT {written} FROM (SELECT {items} FROM (SELECT {values} FROM ({rows})))) TO {path} (
    FORMAT parquet, PARQUET_VERSION v2, COMPRESSION zstd, COMPRESSION_LEVEL {level}, ROW_GROUP_SIZE {row_group_rows}
)

-- about_file --
-- How many rows has a file, and when was the newest received? The footer tells.
SELECT count(*), max(received_at) FROM read_parquet({path}, hive_partitioning = false)

-- everything_in --
FROM read_parquet({path}, hive_partitioning = false)

-- columns_of --
-- Which columns has a relation, in order?
DESCRIBE {relation}

-- export --
COPY (SELECT {items} FROM {relation}) TO {path} (FORMAT parquet, PARQUET_VERSION v1, COMPRESSION zstd)

-- postgres_partitions --
-- On Postgres: which partitions with rows has an event table, which day (UTC) is each if its bounds are one, how many bytes?
SELECT
    leaf.relname::text,
    CASE WHEN ends[2]::timestamptz = ends[1]::timestamptz + interval '24 hours' THEN (
        SELECT first::date::text FROM (SELECT ends[1]::timestamptz AT TIME ZONE 'UTC' AS first) AS bound
        WHERE first = date_trunc('day', first)
    ) END,
    pg_relation_size(leaf.oid)
FROM pg_partition_tree({relation}::regclass) AS tree
JOIN pg_class AS leaf ON leaf.oid = tree.relid,
    LATERAL (
        SELECT regexp_match(
            pg_get_expr(leaf.relpartbound, leaf.oid), $$^FOR VALUES FROM \('([^']+)'\) TO \('([^']+)'\)$$
        ) AS ends
    ) AS bounds
WHERE tree.isleaf AND leaf.relkind = 'r' AND pg_relation_size(leaf.oid) > 0

-- postgres_days --
-- On Postgres: which partitions have rows of an answer, of which days of receipt (UTC), how many?
SELECT leaf.relname::text, day::text, row_count
FROM (
    SELECT tableoid, (received_at AT TIME ZONE 'UTC')::date AS day, count(*) AS row_count FROM ({rows}) AS answer
    GROUP BY 1, 2
) AS days
JOIN pg_class AS leaf ON leaf.oid = days.tableoid

-- postgres_visible --
-- On Postgres: which rows of a partition does the snapshot see?
SELECT {columns} FROM ONLY public.{table}
WHERE pg_visible_in_snapshot(xid, {cur}::pg_snapshot)

-- postgres_of_day --
-- On Postgres: of such an answer, the rows of one day; where a partition is not a day.
AND {received_at} >= {first} AND {received_at} < {end}
