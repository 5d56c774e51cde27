{{ config(
    meta={
        'touched': {'tables': ['activity_events']},
        'dagster': {'ref': {'name': 'rpt_daily_activity'}},
    }
) }}

with

activity_events as (

    {{ touched_rows(source('raw', 'activity_events'), local_date('created_at'), 'created_at') }}

),

daily_activity as (

    {{ touched_rows(ref('rpt_daily_activity'), 'activity_date') }}

),

activity_by_day as (

    {{ touched_rows(ref('rpt_activity_by_day'), 'activity_date') }}

),

sourced as (

    select
        {{ local_date('created_at') }} as activity_date,
        count(*) as event_count,
        count(*) filter (where event_type = 'login') as login_count
    from activity_events
    where is_bot is not true
    group by {{ local_date('created_at') }}

),

reports as (

    select
        activity_date,
        login_count + app_open_count + action_count as event_count,
        0 as login_count
    from daily_activity

    union all

    select
        activity_date,
        signup_count as event_count,
        login_count
    from activity_by_day

),

reported as (

    select
        activity_date,
        sum(event_count) as event_count,
        sum(login_count) as login_count
    from reports
    group by activity_date

),

final as (

    select
        sourced.event_count as source_count,
        reported.event_count as reported_count,
        sourced.login_count as source_login_count,
        reported.login_count as reported_login_count,
        coalesce(sourced.activity_date, reported.activity_date) as activity_date
    from sourced
    full outer join reported on sourced.activity_date = reported.activity_date
    where
        sourced.event_count <> reported.event_count
        or sourced.login_count <> reported.login_count
        or sourced.event_count is null
        or reported.event_count is null

)

select * from final
