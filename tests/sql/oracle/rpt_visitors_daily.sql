-- unique visitor sessions whose first or last visit was on the day, and whose first was
WITH days AS (
    SELECT date(first_seen_at AT TIME ZONE %(timezone)s) AS day FROM visitor_sessions
    UNION
    SELECT date(last_seen_at AT TIME ZONE %(timezone)s) FROM visitor_sessions
)

SELECT
    day,
    (
        SELECT count(DISTINCT session_id) FROM visitor_sessions
        WHERE
            day IN (
                date(first_seen_at AT TIME ZONE %(timezone)s), date(last_seen_at AT TIME ZONE %(timezone)s)
            )
    ),
    (SELECT count(*) FROM visitor_sessions WHERE date(first_seen_at AT TIME ZONE %(timezone)s) = day)
FROM days
