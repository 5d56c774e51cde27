{{ config(
    meta={
        'touched': {'tables': ['activity_events', 'tracking_events', 'tracking_documents', 'user_point_logs']},
        'dagster': {'ref': {'name': 'rpt_event_usage_daily'}},
    }
) }}

with

activity_by_day as (

    {{ touched_rows(ref('rpt_activity_by_day'), 'activity_date') }}

),

daily_activity as (

    {{ touched_rows(ref('rpt_daily_activity'), 'activity_date') }}

),

event_usage as (

    {{ touched_rows(ref('rpt_event_usage_daily'), 'event_date') }}

),

bot_traffic as (

    {{ touched_rows(ref('rpt_bot_traffic_daily'), 'event_date') }}

),

app_usage as (

    {{ touched_rows(ref('rpt_app_usage_daily'), 'event_date') }}

),

document_opens as (

    {{ touched_rows(ref('rpt_document_opens_daily'), 'open_date') }}

),

points as (

    {{ touched_rows(ref('rpt_points_daily'), 'log_date') }}

),

final as (

    select
        'rpt_activity_by_day' as table_name,
        activity_date as reported_date
    from activity_by_day
    where login_count < 0 or signup_count < 0 or login_count + signup_count < 1

    union all

    select
        'rpt_daily_activity' as table_name,
        activity_date as reported_date
    from daily_activity
    where login_count < 0 or app_open_count < 0 or action_count < 0

    union all

    select
        'rpt_event_usage_daily' as table_name,
        event_date as reported_date
    from event_usage
    where event_count < 1

    union all

    select
        'rpt_bot_traffic_daily' as table_name,
        event_date as reported_date
    from bot_traffic
    where event_count < 1

    union all

    select
        'rpt_app_usage_daily' as table_name,
        event_date as reported_date
    from app_usage
    where event_count < 1 or user_count < 0 or session_count < 0

    union all

    select
        'rpt_document_opens_daily' as table_name,
        open_date as reported_date
    from document_opens
    where open_count < 1

    union all

    -- points taken back may exceed those earned on a day, but no fewer than nobody can earn
    select
        'rpt_points_daily' as table_name,
        log_date as reported_date
    from points
    where earning_user_count < 0 or redeeming_user_count < 0 or earning_user_count + redeeming_user_count < 1

)

select * from final
