{{ config(meta={'dagster': {'ref': {'name': 'rpt_bot_traffic_daily'}}}) }}

with

staged as (

    select
        app_name,
        count(*) as event_count
    from {{ ref('stg_tracking_events') }}
    group by app_name

),

reports as (

    select
        app_name,
        event_count
    from {{ ref('rpt_event_usage_daily') }}

    union all

    select
        app_name,
        event_count
    from {{ ref('rpt_bot_traffic_daily') }}

),

reported as (

    select
        app_name,
        sum(event_count) as event_count
    from reports
    group by app_name

),

final as (

    select
        staged.event_count as staged_count,
        reported.event_count as reported_count,
        coalesce(staged.app_name, reported.app_name) as app_name
    from staged
    full outer join reported on staged.app_name = reported.app_name
    where
        staged.event_count <> reported.event_count
        or staged.event_count is null
        or reported.event_count is null

)

select * from final
