{{ config(
    meta={
        'touched': {'tables': ['tracking_events']},
        'dagster': {'ref': {'name': 'rpt_app_usage_daily'}},
    }
) }}

with

events as (

    {{ touched_rows(ref('stg_tracking_events'), 'created_date', 'created_at') }}

),

app_days as (

    {{ touched_rows(ref('rpt_app_usage_daily'), 'event_date') }}

),

parts as (

    select
        created_date as event_date,
        app_name,
        event_type,
        user_type,
        count(distinct user_id) as user_count,
        count(distinct session_id) as session_count
    from events
    where not is_bot
    group by
        created_date,
        app_name,
        event_type,
        user_type

),

largest as (

    select
        event_date,
        app_name,
        max(user_count) as user_count,
        max(session_count) as session_count
    from parts
    group by
        event_date,
        app_name

),

final as (

    select
        app_days.event_date,
        app_days.app_name,
        app_days.event_count,
        app_days.user_count,
        app_days.session_count,
        largest.user_count as part_user_count,
        largest.session_count as part_session_count
    from app_days
    left join largest
        on
            app_days.event_date = largest.event_date
            and app_days.app_name = largest.app_name
    where
        largest.event_date is null
        or app_days.user_count not between largest.user_count and app_days.event_count
        or app_days.session_count not between largest.session_count and app_days.event_count

)

select * from final
