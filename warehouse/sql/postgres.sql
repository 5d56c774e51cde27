-- Queries on Postgres; {…} are filled in by psycopg.sql, which quotes names and literals.

-- begin --
-- All tables are read as they were at one moment.
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY

-- snapshot --
-- Which moment is it, and of which database?
SELECT
    pg_current_snapshot()::text,
    statement_timestamp()::text,
    (SELECT system_identifier::text FROM pg_control_system()),
    (SELECT oid::bigint FROM pg_database WHERE datname = current_database())

-- export --
-- Under which name can another connection join this moment?
SELECT pg_export_snapshot()

-- join --
-- Read as of that moment.
SET TRANSACTION SNAPSHOT {name}

-- columns --
-- Which tables keep the xid of their rows, and which columns of which type do they have, in order?
-- A partition that is detached is no table of its own: `detached` looks for those.
SELECT c.relname::text, a.attname::text, t.typname::text
FROM pg_class AS c
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type AS t ON t.oid = a.atttypid
WHERE c.relnamespace = 'public'::regnamespace
    AND c.relkind IN ('r', 'p')
    AND NOT c.relispartition
    AND c.relname !~ '_p[0-9]{8}$'
    AND EXISTS (
        SELECT FROM pg_attribute AS x
        WHERE x.attrelid = c.oid AND x.atttypid = 'xid8'::regtype AND NOT x.attisdropped
    )
ORDER BY c.relname, a.attnum

-- kinds --
-- What stands under these names: a table (r), a partitioned one (p), something else, or nothing?
SELECT name, c.relkind::text
FROM unnest({names}::text[]) AS name
JOIN pg_class AS c ON c.relnamespace = 'public'::regnamespace AND c.relname = name

-- unstamped --
-- Which tables do not write down the xid of each change? In events and logs a default does, in state a trigger.
SELECT c.relname::text
FROM pg_class AS c
WHERE c.relnamespace = 'public'::regnamespace
    AND (
        c.relname = ANY ({by_default}::text[])
        AND NOT EXISTS (
            SELECT FROM pg_attrdef AS d
            JOIN pg_attribute AS a ON a.attrelid = d.adrelid AND a.attnum = d.adnum AND a.attname = 'xid'
            WHERE d.adrelid = c.oid AND pg_get_expr(d.adbin, d.adrelid) = 'pg_current_xact_id()'
        )
        OR c.relname = ANY ({by_trigger}::text[])
        AND NOT EXISTS (
            SELECT FROM pg_trigger AS t
            WHERE t.tgrelid = c.oid AND t.tgname = 'set_xid' AND t.tgenabled IN ('O', 'A')
        )
    )
ORDER BY 1

-- detached --
-- Which tables are called like a partition of these tables and are none, or are just leaving?
SELECT parent, c.relname::text, coalesce(i.inhdetachpending, false)
FROM unnest({names}::text[]) AS parent
JOIN pg_class AS c ON c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.relname ~ ('^' || parent || '_p[0-9]{{8}}$')
LEFT JOIN pg_inherits AS i ON i.inhrelid = c.oid
WHERE i.inhrelid IS NULL OR i.inhdetachpending
ORDER BY 2

-- row_count --
-- How much comes of this query?
SELECT count(*) FROM ({query}) AS answer

-- lock --
-- No partition goes, and no row moves, until this transaction ends; writers do not notice.
LOCK TABLE public.{table} IN ACCESS SHARE MODE

-- block_runs --
-- In which runs of blocks do a table's rows lie, partition by partition? Empty partitions have none.
SELECT leaf.relname::text, first_block, first_block + {run_blocks}
FROM pg_class AS leaf,
    generate_series(0, pg_relation_size(leaf.oid) / current_setting('block_size')::bigint - 1, {run_blocks})
        AS first_block
WHERE leaf.relkind = 'r'
    AND leaf.oid IN (SELECT {relation}::regclass UNION SELECT relid FROM pg_partition_tree({relation}::regclass))
ORDER BY 1, 2

-- everything --
-- Which rows in this run of blocks does the snapshot see?
SELECT {columns} FROM ONLY public.{table}
WHERE ctid >= {first}::tid AND ctid < {end}::tid
AND pg_visible_in_snapshot(xid, {cur}::pg_snapshot)

-- difference --
-- Which rows does the snapshot :cur see that :prev did not?
SELECT {columns} FROM public.{table}
WHERE (
    (xid >= pg_snapshot_xmax({prev}::pg_snapshot) AND xid < pg_snapshot_xmax({cur}::pg_snapshot))
    OR xid = ANY (ARRAY(SELECT pg_snapshot_xip({prev}::pg_snapshot)))
)
AND pg_visible_in_snapshot(xid, {cur}::pg_snapshot)

-- half --
-- Every second row of a difference: its rows lie anywhere, but every row has an id.
AND ({key} & 1) = {half}

-- held_back --
-- Which transactions have written to which table and are still open, so that no load sees their rows yet?
-- Only writers count: a transaction that reads, however old, keeps VACUUM waiting but no row from a load.
-- Of another role's session only pid and name are known, unless ours may read pg_read_all_stats.
SELECT DISTINCT
    c.relname::text,
    l.pid,
    coalesce(p.gid, a.application_name, ''),
    extract(epoch FROM statement_timestamp() - coalesce(p.prepared, a.xact_start))::float8 AS age
FROM pg_locks AS l
LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
LEFT JOIN pg_prepared_xacts AS p ON l.virtualtransaction = '-1/' || p.transaction
JOIN pg_class AS c ON c.oid = coalesce(pg_partition_root(l.relation), l.relation)
WHERE l.locktype = 'relation' AND l.mode = 'RowExclusiveLock' AND l.granted
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND (a.backend_xid IS NOT NULL OR p.transaction IS NOT NULL)
    AND c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
ORDER BY age DESC NULLS LAST, 1

-- keys --
-- Which keys are there?
SELECT {columns} FROM public.{table}

-- future_rows --
-- Are there visible rows whose xid this server has not given out yet? Only a restored dump brings them.
SELECT {name} WHERE EXISTS (SELECT FROM public.{table} WHERE xid >= pg_snapshot_xmax({cur}::pg_snapshot))

-- adopt_rows --
-- Restored rows become rows of this server's own transaction.
UPDATE public.{table} SET xid = pg_current_xact_id()
WHERE xid >= pg_snapshot_xmax(pg_current_snapshot())

-- setting --
-- What does the admin want?
SELECT setting_value FROM admin_settings WHERE setting_key = %s

-- live_session_cutoff --
-- When must a live session have been heard of last, to count as live?
SELECT now() - %s

-- make_event_partitions --
-- Make the daily partitions that are missing, up to so many days ahead.
SELECT make_event_partitions(%s)

-- keep_from_log --
-- A statement that fails is not written to the server's log; only a superuser, or who was given the right, may say so.
SELECT set_config('log_min_error_statement', 'panic', false)
WHERE has_parameter_privilege('log_min_error_statement', 'SET')
