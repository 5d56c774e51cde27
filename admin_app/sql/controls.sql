-- Queries on Postgres of the controls. Each has a name, and a line that says what it answers.

-- last_changes --
-- Who set each setting last, when, and from what?
SELECT DISTINCT ON (subject) subject AS key, actor, created_at, detail ->> 'old' AS old_value
FROM admin_audit_log
WHERE action = 'settings.set'
ORDER BY subject, id DESC

-- audit_log --
-- What was changed, the newest first, from before this entry on?
SELECT id, created_at, actor, action, subject, detail
FROM admin_audit_log
WHERE cast(:before AS bigint) IS NULL OR id < cast(:before AS bigint)
ORDER BY id DESC
LIMIT :limit

-- rejected_records --
-- Which records did Postgres refuse after their 202, the newest first, from before this one on?
SELECT id, rejected_at, kind, event_id, reason, body
FROM rejected_records
WHERE cast(:before AS bigint) IS NULL OR id < cast(:before AS bigint)
ORDER BY id DESC
LIMIT :limit

-- rejected_count --
-- How many are there?
SELECT count(*) FROM rejected_records

-- hot_days --
-- Which days of each event table are still in Postgres? Partitions are made ahead: those of days to come do not count.
SELECT
    parent.relname::text AS table_name,
    count(*) AS day_count,
    min(day.received_date) AS oldest_date,
    count(*) FILTER (WHERE day.received_date < now()::date - cast(:archive_after_days AS int) - cast(:grace_days AS int)) AS overdue_count
FROM pg_inherits
JOIN pg_class AS parent ON parent.oid = pg_inherits.inhparent
JOIN pg_class AS part ON part.oid = pg_inherits.inhrelid
CROSS JOIN LATERAL (SELECT to_date(substring(part.relname FROM '_p([0-9]{8})$'), 'YYYYMMDD') AS received_date) AS day
WHERE
    parent.relnamespace = 'public'::regnamespace
    AND part.relname ~ ('^' || parent.relname || '_p[0-9]{8}$')
    AND day.received_date <= now()::date
GROUP BY parent.relname
ORDER BY parent.relname

-- oldest_people --
-- Since when was the longest unseen visitor not seen, and how many live sessions are over?
SELECT
    (SELECT min(last_seen_at) FROM visitor_sessions) AS visitor_seen_at,
    (
        SELECT count(*) FROM tracking_live_sessions
        WHERE last_heartbeat < now() - make_interval(mins => cast(:timeout_minutes AS int))
    ) AS ended_session_count
