-- Queries on Postgres about now. Each has a name, and a line that says what it answers.

-- people --
-- How many accounts and visitors are here now? As the first seed has it: later than the window's beginning.
SELECT
    now() AS as_of,
    (
        SELECT count(DISTINCT user_id) FROM user_heartbeats
        WHERE last_seen_at > now() - make_interval(mins => :timeout_minutes)
    ) AS active_users_now,
    (
        SELECT count(*) FROM visitor_sessions
        WHERE last_seen_at > now() - make_interval(mins => :timeout_minutes)
    ) AS visitors_now

-- live_users --
-- How many users are in each app now (Report 3)? As the second seed has it: at the window's beginning or later.
SELECT app_name, country_code, user_type, count(DISTINCT user_id) AS live_user_count
FROM tracking_live_sessions
WHERE last_heartbeat >= now() - make_interval(mins => :timeout_minutes)
GROUP BY app_name, country_code, user_type
ORDER BY live_user_count DESC, app_name, country_code, user_type

-- tracking_switched --
-- When was tracking switched off and on?
SELECT created_at, detail ->> 'old' AS old_value, detail ->> 'new' AS new_value
FROM admin_audit_log
WHERE action = 'settings.set' AND subject = 'tracking_enabled'
ORDER BY id
