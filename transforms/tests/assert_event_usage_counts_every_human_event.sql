{{ config(
    meta={
        'touched': {'tables': ['tracking_events']},
        'dagster': {'ref': {'name': 'rpt_event_usage_daily'}},
    }
) }}

with

events as (

    {{ touched_rows(ref('stg_tracking_events'), 'created_date', 'created_at') }}

),

event_usage as (

    {{ touched_rows(ref('rpt_event_usage_daily'), 'event_date') }}

),

staged as (

    select
        created_date as event_date,
        count(*) as event_count
    from events
    where not is_bot
    group by created_date

),

reported as (

    select
        event_date,
        sum(event_count) as event_count
    from event_usage
    group by event_date

),

final as (

    select
        staged.event_count as staged_count,
        reported.event_count as reported_count,
        coalesce(staged.event_date, reported.event_date) as event_date
    from staged
    full outer join reported on staged.event_date = reported.event_date
    where
        staged.event_count <> reported.event_count
        or staged.event_count is null
        or reported.event_count is null

)

select * from final
