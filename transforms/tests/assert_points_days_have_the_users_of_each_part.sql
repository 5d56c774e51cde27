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

parts as (

    select
        {{ local_date('created_at') }} as log_date,
        related_event,
        count(*) filter (where action = 'earn') as earn_count,
        count(*) filter (where action = 'redeem') as redeem_count,
        count(distinct user_id) filter (where action = 'earn') as earning_user_count,
        count(distinct user_id) filter (where action = 'redeem') as redeeming_user_count
    from point_logs
    group by
        {{ local_date('created_at') }},
        related_event

),

days as (

    select
        log_date,
        sum(earn_count) as earn_count,
        sum(redeem_count) as redeem_count,
        max(earning_user_count) as earning_user_count,
        max(redeeming_user_count) as redeeming_user_count
    from parts
    group by log_date

),

final as (

    select
        points_daily.log_date,
        points_daily.earning_user_count,
        points_daily.redeeming_user_count,
        days.earning_user_count as part_earning_user_count,
        days.redeeming_user_count as part_redeeming_user_count,
        days.earn_count,
        days.redeem_count
    from points_daily
    left join days on points_daily.log_date = days.log_date
    where
        days.log_date is null
        or points_daily.earning_user_count not between days.earning_user_count and days.earn_count
        or points_daily.redeeming_user_count not between days.redeeming_user_count and days.redeem_count

)

select * from final
