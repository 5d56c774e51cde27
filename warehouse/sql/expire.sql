-- Queries on Postgres about days that leave it or come back; {…} are filled in by psycopg.sql, which quotes.

-- setting --
-- What does the admin want?
SELECT setting_value FROM admin_settings WHERE setting_key = {key}

-- today --
-- Which day (UTC) is it by the clock that gives `received_at`?
SELECT (now() AT TIME ZONE 'UTC')::date

-- partitions --
-- Which tables are called like a partition of these, and do they belong to them still?
SELECT
    parent,
    c.relname::text,
    CASE WHEN i.inhrelid IS NULL THEN 'detached' WHEN i.inhdetachpending THEN 'pending' ELSE 'attached' END
FROM unnest({names}::text[]) AS parent
JOIN pg_class AS c ON c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.relname ~ ('^' || parent || '_p[0-9]{{8}}$')
LEFT JOIN pg_inherits AS i ON i.inhrelid = c.oid AND i.inhparent = to_regclass('public.' || parent)
ORDER BY parent, c.relname

-- has_rows_before --
-- Is there a row older than this? Partitions of newer days are not even opened.
SELECT EXISTS (SELECT FROM public.{table} WHERE received_at < {moment}::timestamptz)

-- partition_fingerprint --
-- What has one partition, attached or not: all its rows, whoever wrote them and when?
SELECT count(*), coalesce(sum(('x' || substr(md5({text}), 1, 15))::bit(60)::bigint), 0)::text
FROM (SELECT {columns} FROM ONLY public.{partition}) AS found

-- size --
-- How many bytes does it take, with its indexes?
SELECT pg_total_relation_size({partition}::regclass)

-- timeouts --
-- How long may a statement wait for a lock, and how long may it take?
SELECT set_config('lock_timeout', {lock_ms}, false), set_config('statement_timeout', {statement_ms}, false)

-- detach --
-- Inserts and readers go on; it waits for the transactions that have used the table.
ALTER TABLE public.{table} DETACH PARTITION public.{partition} CONCURRENTLY

-- finalize --
-- The second half of a detach whose first half is done.
ALTER TABLE public.{table} DETACH PARTITION public.{partition} FINALIZE

-- attach --
ALTER TABLE public.{table} ATTACH PARTITION public.{partition} FOR VALUES FROM ({first}) TO ({end})

-- lock_alone --
LOCK TABLE ONLY public.{partition} IN ACCESS EXCLUSIVE MODE

-- drop --
DROP TABLE public.{partition}

-- held_up_by --
-- Whose transactions have these tables, or an older view of the database, for longer than that?
SELECT DISTINCT
    l.pid,
    coalesce(p.gid, a.application_name, ''),
    extract(epoch FROM statement_timestamp() - coalesce(p.prepared, a.xact_start))::float8 AS age
FROM pg_locks AS l
LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
LEFT JOIN pg_prepared_xacts AS p ON l.virtualtransaction = '-1/' || p.transaction
WHERE l.granted
    AND l.pid IS DISTINCT FROM pg_backend_pid()
    AND (
        l.locktype = 'relation' AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND l.relation IN (to_regclass('public.' || {table}), to_regclass('public.' || {partition}))
        OR a.datname = current_database() AND a.backend_xmin IS NOT NULL
    )
    AND coalesce(extract(epoch FROM statement_timestamp() - coalesce(p.prepared, a.xact_start)), {seconds}) >= {seconds}
ORDER BY age DESC NULLS LAST, 1

-- make_table --
-- A day's table apart: made as a partition at once it would lock the event table against every reader.
CREATE TABLE public.{partition} (LIKE public.{table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES)

-- make_staging --
CREATE TEMPORARY TABLE restored (LIKE public.{table} INCLUDING DEFAULTS) ON COMMIT DROP

-- stamp_staging --
-- Rows that come back carry the xid of no transaction: older than any cursor, they are new to no load.
ALTER TABLE pg_temp.restored ALTER COLUMN xid SET DEFAULT '2'

-- copy_restored --
COPY pg_temp.restored ({columns}) FROM STDIN (FORMAT csv, ENCODING 'UTF8')

-- insert_restored --
-- Rows that are there already are left as they are.
INSERT INTO public.{partition} ({columns})
SELECT {columns} FROM pg_temp.restored AS one
WHERE NOT EXISTS (SELECT FROM ONLY public.{partition} AS other WHERE other.event_id = one.event_id)

-- restored_fingerprint --
-- What has the partition of the rows that came back?
SELECT count(*), coalesce(sum(('x' || substr(md5({text}), 1, 15))::bit(60)::bigint), 0)::text
FROM (
    SELECT {columns} FROM ONLY public.{partition}
    WHERE event_id IN (SELECT event_id FROM pg_temp.restored)
) AS found
