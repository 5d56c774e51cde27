-- user_point_logs: every increment and redemption, per day
SELECT
    date(created_at AT TIME ZONE %(timezone)s),
    sum(CASE action WHEN 'earn' THEN points ELSE 0 END)::bigint,
    sum(CASE action WHEN 'redeem' THEN points ELSE 0 END)::bigint,
    count(DISTINCT CASE action WHEN 'earn' THEN user_id END),
    count(DISTINCT CASE action WHEN 'redeem' THEN user_id END)
FROM user_point_logs
GROUP BY 1
