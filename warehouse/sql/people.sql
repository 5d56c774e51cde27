-- Queries about one person; on Postgres where the name begins so, else on DuckDB. {…} are conditions and names of our
-- own, put in quoted (`warehouse/people/matching.py`), %s what Postgres's driver fills in.

-- postgres_unfinished --
-- Is somebody being erased whose rows are not all removed yet?
SELECT subject_kind, subject FROM erasures WHERE removed_at IS NULL ORDER BY id LIMIT 1

-- postgres_try_lock --
-- Is no other erasure under way? The lock goes with its connection.
SELECT pg_try_advisory_lock(hashtext('footfall erase'))

-- postgres_open_erasure --
-- What is known of an erasure of this subject that is not finished?
SELECT id, pseudonym, reason, removed_at IS NOT NULL, person, certificate, begun_at FROM erasures
WHERE subject_kind = %s AND subject = %s AND finished_at IS NULL
ORDER BY id
LIMIT 1

-- postgres_insert_erasure --
INSERT INTO erasures (subject_kind, subject, pseudonym, reason, actor, person, certificate)
VALUES (%s, %s, %s, %s, %s, %s, '{}')
RETURNING id, begun_at

-- postgres_resume_erasure --
-- It begins anew with all that is known by now; loads wait for it again.
UPDATE erasures SET person = %s, removed_at = NULL WHERE id = %s

-- postgres_note --
-- Add to what was done in one store.
UPDATE erasures SET certificate = jsonb_set(coalesce(certificate, '{}'), ARRAY[%s::text], %s::jsonb) WHERE id = %s

-- postgres_removed --
UPDATE erasures SET removed_at = clock_timestamp() WHERE id = %s

-- postgres_finish --
UPDATE erasures SET finished_at = clock_timestamp(), subject = NULL, person = NULL, certificate = %s WHERE id = %s

-- postgres_account_of --
-- To which account does this user link, and how many users do?
SELECT u.account_id, (SELECT count(*) FROM users AS o WHERE o.account_id = u.account_id)
FROM users AS u
WHERE u.id = %s AND u.account_id IS NOT NULL

-- postgres_users_of --
-- Which users link to this account?
SELECT id FROM users WHERE account_id = %s ORDER BY id LIMIT 3

-- sessions_of --
-- Which sessions do rows of this user name? On both engines.
SELECT session_id FROM {table} WHERE user_id = {user_id} AND session_id IS NOT NULL GROUP BY session_id

-- sessions_of_others --
-- Which of these sessions do rows of other users name? On both engines.
SELECT session_id FROM {table} WHERE user_id <> {user_id} AND session_id IN ({sessions}) GROUP BY session_id

-- session_addresses --
-- From which addresses (hashes of them) come the rows of these sessions, at least and at most? On both engines.
SELECT session_id, min(ip_hash), max(ip_hash) FROM {table}
WHERE session_id IN ({sessions}) AND ip_hash IS NOT NULL
GROUP BY session_id

-- postgres_delete --
-- Delete, and tell from which partitions how many.
WITH gone AS (DELETE FROM public.{table} WHERE {condition} RETURNING tableoid)
SELECT tableoid::regclass::text, count(*) FROM gone GROUP BY 1

-- count_by_day --
-- How many hot rows are there of each day of receipt (UTC)?
SELECT (received_at AT TIME ZONE 'UTC')::DATE AS day, count(*) FROM raw.{table} WHERE {condition} GROUP BY day

-- postgres_count_erased --
-- Count rows that are gone before their day was sealed, in a row of their own: the drainer shall not wait for it.
INSERT INTO intake_counts (received_hour, table_name, node_name, erased_count)
VALUES (%s::timestamp AT TIME ZONE 'UTC', %s, 'erasure', %s)
ON CONFLICT (received_hour, table_name, node_name) DO UPDATE
SET erased_count = intake_counts.erased_count + excluded.erased_count, updated_at = now()

-- postgres_unlink --
-- Whoever else links to the account does so no longer.
UPDATE users SET account_id = NULL WHERE account_id = '{account_id}'::uuid

-- postgres_lock_balance --
-- Lock the balance, made if missing: a first move that is under way would else come in between. Was it made?
INSERT INTO {table} AS b (user_id) VALUES ({user_id})
ON CONFLICT (user_id) DO UPDATE SET {amount} = b.{amount} WHERE false
RETURNING true

-- postgres_move_balance --
-- What a second run finds under the same id goes to the balance that the first one left.
INSERT INTO {table} AS b (user_id, {amount}, updated_at)
SELECT {pseudonym}, {amount}, updated_at FROM {table} WHERE user_id = {user_id}
ON CONFLICT (user_id) DO UPDATE SET {amount} = b.{amount} + excluded.{amount}

-- postgres_delete_balance --
DELETE FROM {table} WHERE user_id = {user_id}

-- postgres_point_logs --
-- What an app wrote goes; the name of an event that a rule gave for stays.
UPDATE user_point_logs
SET
    user_id = {pseudonym},
    event_id = NULL,
    reason = CASE WHEN reason IS NOT NULL THEN 'erased' END,
    related_event = CASE WHEN rule_id IS NOT NULL THEN related_event END
WHERE user_id = {user_id}

-- postgres_credit_logs --
UPDATE user_credit_logs SET user_id = {pseudonym} WHERE user_id = {user_id}

-- postgres_rejected --
-- All rejected records, one by one.
SELECT id, kind, body FROM rejected_records

-- postgres_delete_rejected --
DELETE FROM rejected_records WHERE id = ANY(%s)

-- postgres_audit --
-- The person's id becomes the pseudonym in sentences and in keys of the audit log.
UPDATE admin_audit_log
SET
    subject = regexp_replace(subject, {words}, '\1 {pseudonym}\3', 'g'),
    detail = regexp_replace(detail::text, {keys}, '"\1": {pseudonym}\3', 'g')::jsonb
WHERE {condition}

-- postgres_audit_erasure --
INSERT INTO admin_audit_log (actor, action, subject) SELECT actor, 'person.erase', %s FROM erasures WHERE id = %s

-- postgres_columns --
-- Which columns has each table, in all schemas but those of the server and of Dagster? Partitions are in their table,
-- which no longer shows one that is half detached.
SELECT n.nspname::text, c.relname::text, a.attname::text, format_type(a.atttypid, NULL)
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind IN ('r', 'p', 'm')
    AND (NOT c.relispartition OR EXISTS (SELECT FROM pg_inherits AS i WHERE i.inhrelid = c.oid AND i.inhdetachpending))
    AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'dagster')
ORDER BY 1, 2, a.attnum

-- count --
-- How many rows are the person's, or name the person? On both engines.
SELECT count(*) FROM {table} WHERE {condition}

-- tables_with_columns --
-- Which columns has each table of a database file?
SELECT schema_name, table_name, column_name, data_type
FROM duckdb_columns()
JOIN duckdb_tables() USING (database_name, schema_name, table_name)
WHERE database_name = '{database}'
ORDER BY ALL

-- touch_sources --
-- When did the rows happen that go, hot and sealed? Their days are built anew.
INSERT INTO meta.touched
SELECT DISTINCT '{table}', time_bucket(INTERVAL '15 minutes', created_at) FROM {source} WHERE {condition}
EXCEPT
FROM meta.touched

-- delete_raw --
DELETE FROM raw.{table} WHERE {condition}

-- unlink_raw --
UPDATE raw.users SET account_id = NULL WHERE account_id = '{account_id}'::UUID

-- balance_raw --
-- One row of the pseudonym, with what both have.
CREATE OR REPLACE TEMP TABLE of_person AS
SELECT * REPLACE ({pseudonym} AS user_id) FROM raw.{table} WHERE user_id = {user_id};
DELETE FROM raw.{table} WHERE user_id = {user_id};
UPDATE raw.{table} AS b SET {amount} = b.{amount} + p.{amount} FROM of_person AS p WHERE b.user_id = {pseudonym};
INSERT INTO raw.{table} SELECT * FROM of_person WHERE NOT EXISTS (SELECT 1 FROM raw.{table} WHERE user_id = {pseudonym});
DROP TABLE of_person

-- point_logs_raw --
UPDATE raw.user_point_logs
SET
    user_id = {pseudonym},
    event_id = NULL,
    reason = CASE WHEN reason IS NOT NULL THEN 'erased' END,
    related_event = CASE WHEN rule_id IS NOT NULL THEN related_event END
WHERE user_id = {user_id}

-- credit_logs_raw --
UPDATE raw.user_credit_logs SET user_id = {pseudonym} WHERE user_id = {user_id}

-- file_columns --
-- Which columns have these Parquet files?
SELECT column_name, column_type FROM (DESCRIBE FROM read_parquet({urls}, union_by_name = true, hive_partitioning = false))

-- count_by_file --
-- How many rows of each file are the person's?
SELECT filename, count(*)
FROM read_parquet({urls}, union_by_name = true, filename = true, hive_partitioning = false)
WHERE {condition}
GROUP BY filename

-- attach_copy --
ATTACH {path} AS copied

-- attached_name --
SELECT current_database()

-- copy_all --
COPY FROM DATABASE "{database}" TO copied;
CHECKPOINT copied;
DETACH copied

-- attach_read_only --
ATTACH {path} AS {name} (READ_ONLY)

-- postgres_rows --
-- As JSON, which knows infinite times, too.
SELECT to_jsonb(r) - 'xid' FROM (SELECT * FROM public.{table} WHERE {condition}) AS r

-- postgres_drained --
SELECT spool_name, drained_seq FROM spool_cursors

-- is_exported --
SELECT 1 FROM exported WHERE row_key = ?

-- select_rows --
SELECT * FROM {table} WHERE {condition}

-- make_exported --
-- Which rows are in the export already?
CREATE OR REPLACE TEMP TABLE exported (table_name VARCHAR, row_key VARCHAR)

-- insert_exported --
INSERT INTO exported SELECT table_name, row_key FROM incoming_keys

-- insert_exported_rows --
INSERT INTO exported SELECT '{table}', CAST({key} AS VARCHAR) FROM {source} WHERE {condition}

-- select_not_exported --
SELECT * FROM {source}
WHERE ({condition})
    AND CAST({key} AS VARCHAR) NOT IN (SELECT row_key FROM exported WHERE table_name = '{table}')
