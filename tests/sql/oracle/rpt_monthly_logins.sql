-- monthlyLogins: group by to_char(created_at, 'YYYY-MM'), event_type = 'login'
SELECT to_char(created_at AT TIME ZONE %(timezone)s, 'YYYY-MM'), count(*)
FROM activity_events
WHERE event_type = 'login' AND NOT is_bot
GROUP BY to_char(created_at AT TIME ZONE %(timezone)s, 'YYYY-MM')
