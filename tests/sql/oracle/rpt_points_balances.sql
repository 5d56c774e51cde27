-- user_points and user_credits: what is usable now; user_point_logs and user_credit_logs: how it came about
SELECT
    u.id,
    coalesce((SELECT points FROM user_points WHERE user_id = u.id), 0)::bigint,
    coalesce((SELECT sum(points) FROM user_point_logs WHERE user_id = u.id AND action = 'earn'), 0)::bigint,
    coalesce((SELECT sum(points) FROM user_point_logs WHERE user_id = u.id AND action = 'redeem'), 0)::bigint,
    coalesce((SELECT credits FROM user_credits WHERE user_id = u.id), 0)::bigint,
    coalesce((SELECT sum(greatest(credits_added, 0)) FROM user_credit_logs WHERE user_id = u.id), 0)::bigint,
    coalesce((SELECT sum(greatest(-credits_added, 0)) FROM user_credit_logs WHERE user_id = u.id), 0)::bigint
FROM (
    SELECT user_id FROM user_points
    UNION
    SELECT user_id FROM user_credits
    UNION
    SELECT user_id FROM user_point_logs
    UNION
    SELECT user_id FROM user_credit_logs
) AS u (id)
