-- the newest seven days on which anything happened, in order
SELECT * FROM (
    SELECT activity_date, login_count, app_open_count, action_count
    FROM marts.rpt_daily_activity
    ORDER BY activity_date DESC
    LIMIT 7
)
ORDER BY activity_date
