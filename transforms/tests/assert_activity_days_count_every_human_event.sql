{{ config(
    meta={
        'touched': {'tables': ['activity_events']},
        'dagster': {'ref': {'name': 'rpt_daily_activity'}},
    }
) }}

with

activity_events as (

    {{ touched_rows(ref('stg_activity_events'), 'created_date', 'created_at') }}

),

daily_activity as (

    {{ touched_rows(ref('rpt_daily_activity'), 'activity_date') }}

),

activity_by_day as (

    {{ touched_rows(ref('rpt_activity_by_day'), 'activity_date') }}

),

staged as (

    select
        created_date as activity_date,
        count(*) as event_count
    from activity_events
    where not is_bot
    group by created_date

),

reports as (

    select
        activity_date,
        login_count + app_open_count + action_count as event_count
    from daily_activity

    union all

    select
        activity_date,
        signup_count as event_count
    from activity_by_day

),

reported as (

    select
        activity_date,
        sum(event_count) as event_count
    from reports
    group by activity_date

),

final as (

    select
        staged.event_count as staged_count,
        reported.event_count as reported_count,
        coalesce(staged.activity_date, reported.activity_date) as activity_date
    from staged
    full outer join reported on staged.activity_date = reported.activity_date
    where
        staged.event_count <> reported.event_count
        or staged.event_count is null
        or reported.event_count is null

)

select * from final
