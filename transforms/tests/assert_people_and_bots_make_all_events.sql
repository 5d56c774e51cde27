{{ config(meta={'dagster': {'ref': {'name': 'rpt_bot_traffic_daily'}}}) }}

-- all of history, and not a column of it is read: a missed day shows here
with

sourced as (

    select count(*) as event_count
    from {{ source('raw', 'tracking_events') }}

),

reports as (

    select event_count
    from {{ ref('rpt_event_usage_daily') }}

    union all

    select event_count
    from {{ ref('rpt_bot_traffic_daily') }}

    union all

    select canary_count as event_count
    from {{ ref('int_dated_events') }}

),

reported as (

    select coalesce(sum(event_count), 0) as event_count
    from reports

),

final as (

    select
        sourced.event_count as source_count,
        reported.event_count as reported_count
    from sourced
    cross join reported
    where sourced.event_count <> reported.event_count

)

select * from final
