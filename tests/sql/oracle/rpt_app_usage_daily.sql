-- core analytics: how much each app is used per day
SELECT
    date(created_at AT TIME ZONE %(timezone)s), app_name,
    count(*), count(DISTINCT user_id), count(DISTINCT session_id)
FROM tracking_events
WHERE NOT is_bot
GROUP BY 1, 2
