{{ config(meta={'dagster': {'ref': {'name': 'rpt_activity_by_day'}}}) }}

with

sourced as (

    select count(*) as event_count
    from {{ source('raw', 'activity_events') }}
    where is_bot is not true

),

daily as (

    select coalesce(sum(login_count + app_open_count + action_count), 0) as event_count
    from {{ ref('rpt_daily_activity') }}

),

by_day as (

    select coalesce(sum(signup_count), 0) as signup_count
    from {{ ref('rpt_activity_by_day') }}

),

final as (

    select
        sourced.event_count as source_count,
        daily.event_count + by_day.signup_count as reported_count
    from sourced
    cross join daily
    cross join by_day
    where sourced.event_count <> daily.event_count + by_day.signup_count

)

select * from final
