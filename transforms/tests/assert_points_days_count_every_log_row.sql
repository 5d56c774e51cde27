{{ config(
    meta={
        'touched': {'tables': ['user_point_logs']},
        'dagster': {'ref': {'name': 'rpt_points_daily'}},
    }
) }}

with

point_logs as (

    {{ touched_rows(source('raw', 'user_point_logs'), local_date('created_at'), 'created_at') }}

),

points_daily as (

    {{ touched_rows(ref('rpt_points_daily'), 'log_date') }}

),

sourced as (

    select
        {{ local_date('created_at') }} as log_date,
        sum(points) as points,
        coalesce(sum(points) filter (where action = 'earn'), 0) as earned_points
    from point_logs
    group by {{ local_date('created_at') }}

),

final as (

    select
        sourced.points as source_points,
        sourced.earned_points as source_earned_points,
        points_daily.earned_points as reported_earned_points,
        points_daily.redeemed_points as reported_redeemed_points,
        coalesce(sourced.log_date, points_daily.log_date) as log_date
    from sourced
    full outer join points_daily on sourced.log_date = points_daily.log_date
    where
        sourced.points <> points_daily.earned_points + points_daily.redeemed_points
        or sourced.earned_points <> points_daily.earned_points
        or sourced.points is null
        or points_daily.earned_points is null

)

select * from final
