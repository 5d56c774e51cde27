-- Where each report has its rows from, on the published file. Each has a name, and a line that says what it answers.
-- `reports.py` puts filters, order and page around them; `by` chooses among the columns.

-- events --
-- Report 1: how often did what happen?
SELECT event_date, app_name, event_type, event_name, user_type, country_code, device_type, os, event_count
FROM marts.rpt_event_usage_daily

-- documents --
-- Report 2: how often was which document opened?
SELECT open_date, app_name, level_name, chapter_name, document_name, user_type, country_code, open_count
FROM marts.rpt_document_opens_daily

-- points --
-- How many points were earned and redeemed on each day, by how many users?
SELECT log_date, earned_points, redeemed_points, earning_user_count, redeeming_user_count
FROM marts.rpt_points_daily

-- balances --
-- What does each user have, and how did it come about?
SELECT user_id, points, earned_points, redeemed_points, credits, credits_added, credits_spent
FROM marts.rpt_points_balances

-- activity --
-- How many logins, signups, app opens and actions had each day?
SELECT
    coalesce(daily.activity_date, signups.activity_date) AS activity_date,
    coalesce(daily.login_count, signups.login_count) AS login_count,
    coalesce(signups.signup_count, 0) AS signup_count,
    coalesce(daily.app_open_count, 0) AS app_open_count,
    coalesce(daily.action_count, 0) AS action_count
FROM marts.rpt_daily_activity AS daily
FULL JOIN marts.rpt_activity_by_day AS signups ON daily.activity_date = signups.activity_date

-- logins --
-- How many logins had each month?
SELECT month, login_count FROM marts.rpt_monthly_logins

-- visitors --
-- How many visitors had each day, and how many of them came for the first time?
SELECT visit_date, visitor_count, new_visitor_count FROM marts.rpt_visitors_daily

-- apps --
-- How was each app used on each day?
SELECT event_date, app_name, event_count, user_count, session_count FROM marts.rpt_app_usage_daily

-- plans --
-- How many active subscriptions has each plan?
SELECT plan, subscription_count, subscription_percent FROM marts.rpt_plan_distribution

-- plan-history --
-- How many active subscriptions had each plan at the end of each day?
SELECT snapshot_date, plan, subscription_count, subscription_percent FROM marts.rpt_plan_distribution_daily

-- subscriptions --
-- How many subscriptions have each status?
SELECT status, subscription_count FROM marts.rpt_subscription_status

-- users --
-- How many users have each status?
SELECT status, user_count, user_percent FROM marts.rpt_user_status

-- apps_there_are --
-- Which apps do reports know?
SELECT DISTINCT app_name FROM marts.rpt_event_usage_daily
UNION
SELECT DISTINCT app_name FROM marts.rpt_document_opens_daily WHERE app_name IS NOT NULL
ORDER BY app_name

-- countries_there_are --
-- Which countries do reports know?
SELECT DISTINCT country_code FROM marts.rpt_event_usage_daily WHERE country_code IS NOT NULL
UNION
SELECT DISTINCT country_code FROM marts.rpt_document_opens_daily WHERE country_code IS NOT NULL
ORDER BY country_code
