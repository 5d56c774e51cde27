{{ config(meta={'dagster': {'ref': {'name': 'rpt_event_usage_daily'}}}) }}

with

events as (

    select count(*) as event_count
    from {{ ref('stg_tracking_events') }}
    where not is_bot

),

report as (

    select coalesce(sum(event_count), 0) as event_count
    from {{ ref('rpt_event_usage_daily') }}

),

final as (

    select
        events.event_count as staged_count,
        report.event_count as reported_count
    from events
    cross join report
    where events.event_count <> report.event_count

)

select * from final
