-- how many events each app has from each country, over all days
SELECT app_name, country_code, CAST(sum(event_count) AS BIGINT) AS event_count
FROM marts.rpt_event_usage_daily
GROUP BY app_name, country_code
