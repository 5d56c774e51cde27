{{ config(
    meta={
        'touched': {'tables': ['tracking_events']},
        'dagster': {'ref': {'name': 'rpt_bot_traffic_daily'}},
    }
) }}

with

events as (

    {{ touched_rows(source('raw', 'tracking_events'), local_date('created_at'), 'created_at') }}

),

bot_traffic as (

    {{ touched_rows(ref('rpt_bot_traffic_daily'), 'event_date') }}

),

sourced as (

    select
        {{ local_date('created_at') }} as event_date,
        count(*) as event_count
    from events
    where
        is_bot
        and not {{ is_canary() }}
    group by {{ local_date('created_at') }}

),

reported as (

    select
        event_date,
        sum(event_count) as event_count
    from bot_traffic
    group by event_date

),

final as (

    select
        sourced.event_count as source_count,
        reported.event_count as reported_count,
        coalesce(sourced.event_date, reported.event_date) as event_date
    from sourced
    full outer join reported on sourced.event_date = reported.event_date
    where
        sourced.event_count <> reported.event_count
        or sourced.event_count is null
        or reported.event_count is null

)

select * from final
