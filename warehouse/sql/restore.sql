-- Queries on DuckDB that read sealed files to restore them; {…} are names, types and paths of our own, quoted.

-- texts --
-- A file's rows with every value as the text that Postgres reads too.
SELECT {values} FROM read_parquet({path})

-- make_table --
CREATE TABLE IF NOT EXISTS {table} ({columns})

-- columns_of --
-- Which columns has the table, of which types, in order?
DESCRIBE {table}

-- append --
-- Rows that are there already are left as they are.
INSERT INTO {table} BY NAME
SELECT {values} FROM read_parquet({path})
WHERE event_id::UUID NOT IN (SELECT event_id FROM {table})

-- rows --
SELECT {values} FROM read_parquet({path})

-- write --
COPY ({rows} ORDER BY received_at, event_id) TO {path} ({how})
