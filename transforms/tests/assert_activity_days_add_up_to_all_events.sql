{{ config(meta={'dagster': {'ref': {'name': 'rpt_activity_by_day'}}}) }}

with

staged as (

    select count(*) as event_count
    from {{ ref('stg_activity_events') }}
    where not is_bot

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
        staged.event_count as staged_count,
        daily.event_count + by_day.signup_count as reported_count
    from staged
    cross join daily
    cross join by_day
    where staged.event_count <> daily.event_count + by_day.signup_count

)

select * from final
