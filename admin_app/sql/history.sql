-- Queries on the published file for the stats. Each has a name, and a line that says what it answers.

-- totals --
-- What are the counts of one row?
SELECT
    total_users, active_users_now, expired_users, inactive_users,
    active_subscriptions, expired_subscriptions, cancelled_subscriptions,
    total_visitors, visitors_now, visitors_today
FROM marts.rpt_totals

-- activity_by_day --
-- How many logins and signups had each of the seven days until $today?
SELECT day::DATE AS date, coalesce(login_count, 0) AS logins, coalesce(signup_count, 0) AS signups
FROM generate_series($today::DATE - 6, $today::DATE, INTERVAL 1 DAY) AS days (day)
LEFT JOIN marts.rpt_activity_by_day ON activity_date = day::DATE
ORDER BY date

-- daily_activity --
-- How many logins, app opens and actions had each of the seven days until $today?
SELECT
    day::DATE AS date,
    coalesce(login_count, 0) AS logins,
    coalesce(app_open_count, 0) AS app_opens,
    coalesce(action_count, 0) AS actions
FROM generate_series($today::DATE - 6, $today::DATE, INTERVAL 1 DAY) AS days (day)
LEFT JOIN marts.rpt_daily_activity ON activity_date = day::DATE
ORDER BY date

-- monthly_logins --
-- How many logins had each of the six months until that of $today?
SELECT strftime(first_day, '%Y-%m') AS month, coalesce(login_count, 0) AS logins
FROM generate_series(
    date_trunc('month', $today::DATE) - INTERVAL 5 MONTH, date_trunc('month', $today::DATE), INTERVAL 1 MONTH
) AS months (first_day)
LEFT JOIN marts.rpt_monthly_logins AS counted ON counted.month = strftime(first_day, '%Y-%m')
ORDER BY first_day

-- plans --
-- How many active subscriptions has each plan, and what share of all, the largest first?
SELECT plan, subscription_count, subscription_percent
FROM marts.rpt_plan_distribution
ORDER BY subscription_count DESC, plan

-- users_status --
-- What share of all accounts has each status? Of none it is nothing.
SELECT status, coalesce(user_percent, 0) AS user_percent
FROM marts.rpt_user_status
