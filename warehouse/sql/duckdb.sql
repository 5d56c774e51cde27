-- Queries on DuckDB; {…} are names from `warehouse/tables.py` and the catalogue, quoted by the caller.

-- columns --
-- Which columns do the raw tables have, in order?
SELECT table_name, column_name, data_type
FROM duckdb_columns()
WHERE database_name = current_database() AND schema_name = 'raw'
ORDER BY table_name, column_index

-- cursors --
-- How far is each table loaded?
SELECT table_name, snapshot, system_identifier, database_oid FROM meta.load_cursors

-- delete_cursor --
DELETE FROM meta.load_cursors WHERE table_name = ?

-- insert_cursor --
INSERT INTO meta.load_cursors VALUES (?, ?, ?, ?, ?)

-- drop_raw_table --
DROP TABLE IF EXISTS raw.{table}

-- keep_before --
ALTER TABLE raw.{table} RENAME TO {table}_before

-- only_before --
-- Which rows does the table that was made anew lack?
SELECT * FROM raw.{table}_before AS old WHERE NOT EXISTS (SELECT 1 FROM raw.{table} AS new WHERE {same})

-- drop_before --
DROP TABLE raw.{table}_before

-- append_rows --
INSERT INTO raw.{table} ({columns}) SELECT {values} FROM ({incoming})

-- stage_rows --
CREATE OR REPLACE TEMP TABLE staged AS SELECT {values} FROM ({incoming})

-- delete_staged_keys --
-- The newer version of a row takes the older one's place.
DELETE FROM raw.{table} AS old USING staged WHERE old.{key} = staged.{key}

-- insert_staged_rows --
INSERT INTO raw.{table} ({columns}) SELECT {columns} FROM staged

-- delete_absent_keys --
-- What Postgres no longer has goes here too.
DELETE FROM raw.{table} AS old WHERE NOT EXISTS (SELECT 1 FROM staged WHERE staged.{key} = old.{key})

-- drop_staged --
DROP TABLE staged

-- count_rows --
SELECT count(*) FROM raw.{table}

-- drop_builds --
DROP TABLE IF EXISTS meta.builds

-- insert_build --
-- The oldest load is what all tables have in common; a load that comes later is not in the marts of this build.
INSERT INTO meta.builds
SELECT ?, ?, ?, min(loaded_at), arg_min(snapshot, loaded_at), now(), NULL, ? FROM meta.load_cursors

-- finish_build --
UPDATE meta.builds SET passed_at = now() WHERE build_id = ?

-- missing_models --
-- Which of these tables and views are not there?
SELECT unnest(CAST(? AS VARCHAR[]))
EXCEPT
SELECT table_schema || '.' || table_name FROM information_schema.tables WHERE table_catalog = current_database()
ORDER BY 1

-- last_build --
-- Which build are the marts of, and did all its checks pass?
SELECT build_id, passed_at IS NOT NULL FROM meta.builds

-- to_publish --
-- What is there to publish? Views too: a reader shall not miss a mart for how it was made. But no mart of before; and
-- of `meta`, where the warehouse keeps things of its own, only what models make.
WITH made AS (
    SELECT schema_name, table_name, comment FROM duckdb_tables() WHERE database_name = current_database()
    UNION ALL
    SELECT schema_name, view_name, comment FROM duckdb_views()
    WHERE database_name = current_database() AND NOT internal
)
SELECT made.* FROM made LEFT JOIN meta.builds ON true
WHERE
    (schema_name = 'marts' AND (builds.models IS NULL OR 'marts.' || table_name IN builds.models))
    OR (schema_name = 'meta' AND 'meta.' || table_name IN builds.models)
ORDER BY 1, 2

-- published_columns --
-- What does a column promise, beside its name and type? Those a copied SELECT keeps by itself.
SELECT column_name, NOT is_nullable, comment FROM duckdb_columns()
WHERE database_name = current_database() AND schema_name = ? AND table_name = ?
ORDER BY column_index

-- attach_published --
-- The oldest format that every duckdb we allow can read, so that an analyst's older client opens the file.
ATTACH {path} AS published (STORAGE_VERSION 'v1.5.0')

-- publish_table --
CREATE TABLE published.{table} AS SELECT * FROM {table}

-- forbid_null --
ALTER TABLE published.{table} ALTER COLUMN {column} SET NOT NULL

-- publish_refresh --
-- After publish_refresh_tables and its rows.
CREATE TABLE published.meta.refresh AS
SELECT
    now() AS refreshed_at,
    loaded_at,
    snapshot,
    build_id,
    code_version,
    models_version,
    (SELECT coalesce(sum(row_count), 0)::BIGINT FROM published.meta.refresh_tables) AS row_count
FROM meta.builds;
COMMENT ON TABLE published.meta.refresh IS 'One row: how fresh this file is, and by which code it was made.';
COMMENT ON COLUMN published.meta.refresh.refreshed_at IS 'When the file was published (UTC).';
COMMENT ON COLUMN published.meta.refresh.loaded_at IS 'Every table was loaded from Postgres at this time or later.';
COMMENT ON COLUMN published.meta.refresh.snapshot IS 'The Postgres snapshot of the load at loaded_at.';
COMMENT ON COLUMN published.meta.refresh.build_id IS 'The run that built the tables, as the Dagster UI names it.';
COMMENT ON COLUMN published.meta.refresh.code_version IS 'The version of footfall that built the tables.';
COMMENT ON COLUMN published.meta.refresh.models_version IS
'A hash of all models and their settings: as long as it stays, every table is computed in the same way.';
COMMENT ON COLUMN published.meta.refresh.row_count IS 'Rows of all tables of marts; of each one: meta.refresh_tables.';

-- publish_refresh_tables --
CREATE TABLE published.meta.refresh_tables (table_name VARCHAR, row_count BIGINT);
COMMENT ON TABLE published.meta.refresh_tables IS 'One row per table of marts: how many rows it had when published.';
COMMENT ON COLUMN published.meta.refresh_tables.table_name IS 'Name of the table in the schema marts.';
COMMENT ON COLUMN published.meta.refresh_tables.row_count IS 'Rows in the table.';

-- insert_refresh_table --
INSERT INTO published.meta.refresh_tables SELECT ?, count(*) FROM marts.{table}

-- count_published --
SELECT count(*) FROM marts.{table}

-- kept_histories --
-- Which marts show a history that this file keeps?
SELECT CASE table_name WHEN 'int_subscription_versions' THEN 'dim_subscriptions' ELSE table_name END
FROM duckdb_tables()
WHERE
    database_name = current_database()
    AND (schema_name, table_name) IN (('marts', 'rpt_live_users'), ('intermediate', 'int_subscription_versions'))

-- attach_histories --
ATTACH {path} AS published (READ_ONLY)

-- is_published --
SELECT table_name FROM duckdb_tables()
WHERE database_name = 'published' AND schema_name = 'marts' AND table_name = ?

-- take_over_live_users --
CREATE SCHEMA IF NOT EXISTS marts;
CREATE TABLE marts.rpt_live_users AS SELECT * FROM published.marts.rpt_live_users;
ALTER TABLE marts.rpt_live_users ALTER COLUMN observed_at SET NOT NULL;
ALTER TABLE marts.rpt_live_users ALTER COLUMN app_name SET NOT NULL;
ALTER TABLE marts.rpt_live_users ALTER COLUMN user_type SET NOT NULL;
ALTER TABLE marts.rpt_live_users ALTER COLUMN live_user_count SET NOT NULL

-- take_over_subscription_versions --
-- Where no version follows on another's end, the subscription was gone.
CREATE SCHEMA IF NOT EXISTS intermediate;
CREATE TABLE intermediate.int_subscription_versions AS
WITH versions AS (
    SELECT *, lead(valid_from) OVER (PARTITION BY subscription_id ORDER BY valid_from) AS next_from
    FROM published.marts.dim_subscriptions
)

SELECT * EXCLUDE (valid_to, is_current, next_from), false AS is_deleted FROM versions
UNION ALL
SELECT * EXCLUDE (valid_to, is_current, next_from) REPLACE (valid_to AS valid_from), true AS is_deleted FROM versions
WHERE valid_to IS NOT NULL AND next_from IS DISTINCT FROM valid_to;
ALTER TABLE intermediate.int_subscription_versions ALTER COLUMN subscription_id SET NOT NULL;
ALTER TABLE intermediate.int_subscription_versions ALTER COLUMN status SET NOT NULL;
ALTER TABLE intermediate.int_subscription_versions ALTER COLUMN ends_at SET NOT NULL;
ALTER TABLE intermediate.int_subscription_versions ALTER COLUMN valid_from SET NOT NULL;
ALTER TABLE intermediate.int_subscription_versions ALTER COLUMN is_deleted SET NOT NULL
