-- Queries of housekeeping on Postgres; {…} are names and conditions of our own. A change is one batch and one transaction.

-- bounds --
-- No statement of housekeeping waits long for a lock or takes long: what it leaves, the next night takes.
SET lock_timeout = '2s'; SET statement_timeout = '5min'

-- clock --
-- What time is it there?
SELECT now()

-- settings --
-- What does the admin want?
SELECT setting_key, setting_value FROM admin_settings

-- exists --
-- Is there such a table? Dagster makes its own when it first starts.
SELECT to_regclass(%(table)s) IS NOT NULL

-- count_by_index --
-- How many rows are due?
SELECT count(*) FROM {table} WHERE {time} < %(before)s

-- oldest_by_index --
-- Of when is the oldest row?
SELECT min({time}) FROM {table}

-- delete_by_index --
-- One batch along the index of the time, the oldest first; rows that somebody holds are left for the next run.
-- It goes on after the batch before: entries of deleted rows stay in the index for a while.
WITH gone AS (
    DELETE FROM {table}
    WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM {table}
        WHERE {time} >= %(after)s AND {time} < %(before)s
        ORDER BY {time}
        LIMIT %(limit)s
        FOR UPDATE SKIP LOCKED
    ))
    RETURNING {time} AS due_at
)

SELECT count(*), max(due_at) FROM gone

-- forget_visitors --
-- One batch of visitors unseen for long: their sessions go and their number stays, in one statement.
-- In order of the key, so that two who forget at once wait for each other and never in a circle.
WITH gone AS (
    DELETE FROM visitor_sessions
    WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM visitor_sessions
        WHERE last_seen_at >= %(after)s AND last_seen_at < %(before)s
        ORDER BY last_seen_at
        LIMIT %(limit)s
        FOR UPDATE SKIP LOCKED
    ))
    RETURNING first_seen_at, last_seen_at
),

counted AS (
    INSERT INTO forgotten_visitors (first_seen_at, last_seen_at, visitor_count)
    SELECT
        date_bin('15 minutes', first_seen_at, '2000-01-01Z'), date_bin('15 minutes', last_seen_at, '2000-01-01Z'), count(*)
    FROM gone
    GROUP BY 1, 2
    ORDER BY 1, 2
    ON CONFLICT (first_seen_at, last_seen_at) DO UPDATE
    SET visitor_count = forgotten_visitors.visitor_count + excluded.visitor_count
)

SELECT count(*), max(last_seen_at) FROM gone

-- block_count --
-- In how many blocks do the rows lie?
SELECT pg_relation_size(%(table)s::regclass) / current_setting('block_size')::bigint

-- count_in_blocks --
-- How many rows in this run of blocks are due?
SELECT count(*) FROM {table} WHERE ctid >= %(first)s::tid AND ctid < %(end)s::tid AND {time} < %(before)s AND {condition}

-- delete_in_blocks --
-- Those of one run of blocks. A table that is only found by a BRIN index is walked once, block by block: space that was
-- freed takes new rows, so that after a while every range of the index has old and new rows and excludes none.
WITH gone AS (
    DELETE FROM {table}
    WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM {table}
        WHERE ctid >= %(first)s::tid AND ctid < %(end)s::tid AND {time} < %(before)s AND {condition}
        FOR UPDATE SKIP LOCKED
    ))
    RETURNING 1
)

SELECT count(*) FROM gone

-- oldest_in_sample --
-- Of when is the oldest row in so many percent of the blocks?
SELECT min({time}) FROM {table} TABLESAMPLE SYSTEM (%(percent)s) WHERE {condition}
