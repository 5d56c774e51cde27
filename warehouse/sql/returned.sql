-- Queries on DuckDB about the marts that another engine makes. {…} are names and paths of our own, quoted by the caller.

-- take_rows --
-- A value that is the name of a folder comes as text, and not as what it looks like.
INSERT INTO {relation}
SELECT {columns} FROM read_parquet({files}, hive_partitioning = {has_folders}, hive_types_autocast = false)

-- count_rows --
SELECT count(*) FROM read_parquet({files})

-- is_table --
SELECT 1 FROM duckdb_tables() WHERE schema_name = ? AND table_name = ?

-- write_history --
COPY (SELECT {columns} FROM {relation}) TO {path} (FORMAT parquet)
