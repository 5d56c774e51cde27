-- Report 3, live users: a user is LIVE if last_heartbeat >= NOW() - INTERVAL 5 MINUTE; the 5 minutes are the setting
SELECT %(as_of)s::timestamptz, app_name, country_code, user_type, count(DISTINCT user_id)
FROM tracking_live_sessions
WHERE
    last_heartbeat >= %(as_of)s - coalesce(
        (SELECT setting_value::int FROM admin_settings WHERE setting_key = 'live_session_timeout_minutes'), 5
    ) * interval '1 minute'
GROUP BY app_name, country_code, user_type
