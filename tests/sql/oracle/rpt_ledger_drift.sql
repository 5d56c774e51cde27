-- points and credits, atomic updates: a balance is the sum of its log, for every user
SELECT *
FROM (
    SELECT
        u.id,
        coalesce((SELECT points FROM user_points WHERE user_id = u.id), 0)::bigint AS points,
        coalesce(
            (
                SELECT sum(CASE action WHEN 'earn' THEN points ELSE -points END)
                FROM user_point_logs WHERE user_id = u.id
            ),
            0
        )::bigint AS logged_points,
        coalesce((SELECT credits FROM user_credits WHERE user_id = u.id), 0)::bigint AS credits,
        coalesce((SELECT sum(credits_added) FROM user_credit_logs WHERE user_id = u.id), 0)::bigint
            AS logged_credits
    FROM (
        SELECT user_id FROM user_points
        UNION
        SELECT user_id FROM user_credits
        UNION
        SELECT user_id FROM user_point_logs
        UNION
        SELECT user_id FROM user_credit_logs
    ) AS u (id)
) AS balances
WHERE (points, credits) <> (logged_points, logged_credits)
