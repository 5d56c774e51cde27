-- core analytics: how much each app is used per month
SELECT
    to_char(created_at AT TIME ZONE %(timezone)s, 'YYYY-MM'), app_name,
    count(*), count(DISTINCT user_id), count(DISTINCT session_id)
FROM tracking_events
WHERE NOT is_bot
GROUP BY 1, 2
