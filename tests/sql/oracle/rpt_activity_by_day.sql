-- activityByDay: group by date(created_at) for event_type in ('login','signup'), sum logins/signups per day
SELECT
    date(created_at AT TIME ZONE %(timezone)s),
    sum(CASE event_type WHEN 'login' THEN 1 ELSE 0 END)::bigint,
    sum(CASE event_type WHEN 'signup' THEN 1 ELSE 0 END)::bigint
FROM activity_events
WHERE event_type IN ('login', 'signup') AND NOT is_bot
GROUP BY date(created_at AT TIME ZONE %(timezone)s)
