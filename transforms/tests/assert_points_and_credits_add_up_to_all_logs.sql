{{ config(meta={'dagster': {'ref': {'name': 'rpt_points_balances'}}}) }}

-- all of history, and of a log one number a row: a missed day or user shows here
with

point_logs as (

    select coalesce(sum(points), 0) as points
    from {{ source('raw', 'user_point_logs') }}

),

credit_logs as (

    select coalesce(sum(credits_added), 0) as credits
    from {{ source('raw', 'user_credit_logs') }}

),

days as (

    select coalesce(sum(earned_points + redeemed_points), 0) as points
    from {{ ref('rpt_points_daily') }}

),

balances as (

    select
        coalesce(sum(earned_points + redeemed_points), 0) as points,
        coalesce(sum(credits_added - credits_spent), 0) as credits
    from {{ ref('rpt_points_balances') }}

),

final as (

    select
        point_logs.points as source_points,
        days.points as daily_points,
        balances.points as points_of_users,
        credit_logs.credits as source_credits,
        balances.credits as credits_of_users
    from point_logs
    cross join credit_logs
    cross join days
    cross join balances
    where
        point_logs.points <> days.points
        or point_logs.points <> balances.points
        or credit_logs.credits <> balances.credits

)

select * from final
