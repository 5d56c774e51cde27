-- how many events each app has on each of the newest fourteen days, in order; a day without any counts as zero
WITH days AS (
    SELECT DISTINCT event_date
    FROM marts.rpt_event_usage_daily
    ORDER BY event_date DESC
    LIMIT 14
),

apps AS (
    SELECT DISTINCT app_name FROM marts.rpt_event_usage_daily
)

SELECT apps.app_name, CAST(coalesce(sum(usage.event_count), 0) AS BIGINT) AS event_count
FROM apps
CROSS JOIN days
LEFT JOIN marts.rpt_event_usage_daily AS usage
    ON apps.app_name = usage.app_name AND days.event_date = usage.event_date
GROUP BY apps.app_name, days.event_date
ORDER BY apps.app_name, days.event_date
