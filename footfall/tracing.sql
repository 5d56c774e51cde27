-- What Postgres knows of one event id. Queries of `footfall/tracing.py`.

-- ids --
-- In which tables did the id come, when first, and how often again?
SELECT table_name, received_at, repeat_count, repeated_at FROM event_ids WHERE event_id = %(event_id)s ORDER BY 1

-- rejected --
-- Which refused records have it?
SELECT id, kind, reason, rejected_at FROM rejected_records WHERE event_id = %(event_id)s ORDER BY id

-- drained --
-- How far is each spool drained?
SELECT spool_name, drained_seq FROM spool_cursors

-- last_erasure --
-- When was a person erased last?
SELECT max(removed_at) AS removed_at FROM erasures

-- stored --
-- Which rows of a table are the event? No index is on the id: the time of receipt says which partitions are read.
SELECT
    {table} AS table_name, tableoid::regclass::text AS partition, received_at,
    to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS created_at,
    created_at_adjusted AS is_adjusted, is_bot, to_jsonb(event) ->> 'app_name' AS app_name, xid::text::bigint AS xid
FROM {name} AS event
WHERE event_id = %(event_id)s AND received_at >= %(first)s AND received_at <= %(last)s
