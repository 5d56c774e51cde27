-- dailyActivity: group by date(created_at), count logins, appOpens, actions per day
SELECT
    date(created_at AT TIME ZONE %(timezone)s),
    sum(CASE event_type WHEN 'login' THEN 1 ELSE 0 END)::bigint,
    sum(CASE event_type WHEN 'app_open' THEN 1 ELSE 0 END)::bigint,
    sum(CASE event_type WHEN 'action' THEN 1 ELSE 0 END)::bigint
FROM activity_events
WHERE NOT is_bot
GROUP BY date(created_at AT TIME ZONE %(timezone)s)
