-- totalUsers: count(accounts)
-- activeUsersNow: count distinct user_id from user_heartbeats where last_seen_at > now() - 5 minutes
-- expiredUsers: count users whose subscription is expired (status = 'expired' or ends_at < now())
-- inactiveUsers: define as users not in activeUsersNow and not expired
-- activeSubscriptions: count subscriptions where status = 'active' and ends_at > now()
-- expiredSubscriptions: status = 'expired' or ends_at <= now(); cancelledSubscriptions: status = 'cancelled'
-- totalVisitors, visitorsNow, visitorsToday: as the seed has them; the 5 minutes are the setting
WITH settings AS (
    SELECT coalesce(
        (SELECT setting_value::int FROM admin_settings WHERE setting_key = 'live_session_timeout_minutes'), 5
    ) * interval '1 minute' AS timeout
),

active AS (
    SELECT DISTINCT user_id FROM user_heartbeats, settings WHERE last_seen_at > %(as_of)s - timeout
),

expired AS (
    SELECT id FROM accounts
    WHERE
        EXISTS (
            SELECT FROM subscriptions AS s
            WHERE s.org_id = accounts.org_id AND (s.status = 'expired' OR s.ends_at <= %(as_of)s)
        )
        AND NOT EXISTS (
            SELECT FROM subscriptions AS s
            WHERE s.org_id = accounts.org_id AND s.status = 'active' AND s.ends_at > %(as_of)s
        )
)

SELECT
    (SELECT count(*) FROM accounts),
    (SELECT count(*) FROM active),
    (SELECT count(*) FROM expired),
    (
        SELECT count(*) FROM accounts
        WHERE id NOT IN (SELECT user_id FROM active) AND id NOT IN (SELECT id FROM expired)
    ),
    (SELECT count(*) FROM subscriptions WHERE status = 'active' AND ends_at > %(as_of)s),
    (SELECT count(*) FROM subscriptions WHERE status = 'expired' OR ends_at <= %(as_of)s),
    (SELECT count(*) FROM subscriptions WHERE status = 'cancelled'),
    (SELECT count(*) FROM visitor_sessions),
    (SELECT count(*) FROM visitor_sessions, settings WHERE last_seen_at > %(as_of)s - timeout),
    (
        SELECT count(*) FROM visitor_sessions
        WHERE last_seen_at
            >= date_trunc('day', %(as_of)s AT TIME ZONE %(timezone)s) AT TIME ZONE %(timezone)s
    ),
    %(as_of)s::timestamptz
