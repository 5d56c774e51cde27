-- bots, counted apart: tracking_events of bots per day and app
SELECT date(created_at AT TIME ZONE %(timezone)s), app_name, count(*)
FROM tracking_events
WHERE is_bot
GROUP BY 1, 2
