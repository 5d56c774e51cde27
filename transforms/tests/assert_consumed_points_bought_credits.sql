{{ config(
    meta={
        'touched': {'tables': ['user_point_logs', 'user_credit_logs']},
        'dagster': {'ref': {'name': 'rpt_points_balances'}},
    }
) }}

-- what it is a check of, and runs after
-- depends_on: {{ ref('rpt_points_balances') }}
with

new_point_logs as (

    {{ touched_rows(source('raw', 'user_point_logs'), local_date('created_at'), 'created_at') }}

),

new_credit_logs as (

    {{ touched_rows(source('raw', 'user_credit_logs'), local_date('created_at'), 'created_at') }}

),

-- the other half of a redemption may be of another day, where it was made at midnight
point_logs as (

    select * from {{ source('raw', 'user_point_logs') }}

),

credit_logs as (

    select * from {{ source('raw', 'user_credit_logs') }}

),

redemptions as (

    select
        id,
        user_id,
        points
    from new_point_logs
    where
        action = 'redeem'
        and reverses_id is null

),

bought as (

    select
        redemptions.id,
        redemptions.user_id,
        redemptions.points,
        count(credit_logs.id) as credit_log_count,
        sum(credit_logs.points_consumed) as points_consumed,
        min(credit_logs.credits_added) as credits_added,
        max(credit_logs.user_id) as credited_user_id
    from redemptions
    left join credit_logs on redemptions.id = credit_logs.point_log_id
    group by
        redemptions.id,
        redemptions.user_id,
        redemptions.points

),

sold as (

    select
        new_credit_logs.id,
        new_credit_logs.user_id,
        new_credit_logs.credits_added,
        new_credit_logs.points_consumed,
        point_logs.id as point_log_id,
        point_logs.user_id as point_user_id,
        point_logs.points,
        -- points taken from somebody, or given back to them
        case
            when point_logs.action = 'redeem' and point_logs.reverses_id is null then point_logs.points
            when point_logs.action = 'earn' and point_logs.reverses_id is not null then -point_logs.points
        end as points_moved
    from new_credit_logs
    left join point_logs on new_credit_logs.point_log_id = point_logs.id
    where
        new_credit_logs.points_consumed <> 0
        or new_credit_logs.point_log_id is not null
        -- only a spend has nothing to do with points
        or new_credit_logs.credits_added >= 0

),

final as (

    select
        user_id,
        id as point_log_id,
        points,
        points_consumed,
        credits_added,
        credit_log_count
    from bought
    where
        credit_log_count <> 1
        or points_consumed <> points
        or credits_added < 1
        or credited_user_id <> user_id

    union all

    select
        user_id,
        point_log_id,
        points,
        points_consumed,
        credits_added,
        1 as credit_log_count
    from sold
    where
        points_moved is null
        or points_consumed <> points_moved
        or point_user_id <> user_id

)

select * from final
