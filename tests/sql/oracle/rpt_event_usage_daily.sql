-- core analytics: tracking_events per day and every dimension it has
SELECT
    date(created_at AT TIME ZONE %(timezone)s), app_name, event_type, event_name,
    user_type, country_code, device_type, os, count(*)
FROM tracking_events
WHERE NOT is_bot
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
