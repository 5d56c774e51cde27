with

user_points as (

    select * from {{ ref('stg_user_points') }}

),

user_credits as (

    select * from {{ ref('stg_user_credits') }}

),

point_logs as (

    select * from {{ ref('stg_user_point_logs') }}

),

credit_logs as (

    select * from {{ ref('stg_user_credit_logs') }}

),

point_sums as (

    select
        user_id,
        sum(points) filter (where action = 'earn') as earned_points,
        sum(points) filter (where action = 'redeem') as redeemed_points
    from point_logs
    group by user_id

),

credit_sums as (

    select
        user_id,
        sum(credits_added) filter (where credits_added > 0) as credits_added,
        sum(-credits_added) filter (where credits_added < 0) as credits_spent
    from credit_logs
    group by user_id

),

users as (

    select user_id from user_points
    union distinct
    select user_id from user_credits
    union distinct
    select user_id from point_sums
    union distinct
    select user_id from credit_sums

),

final as (

    select
        users.user_id,
        cast(coalesce(user_points.points, 0) as bigint) as points,
        cast(coalesce(point_sums.earned_points, 0) as bigint) as earned_points,
        cast(coalesce(point_sums.redeemed_points, 0) as bigint) as redeemed_points,
        cast(coalesce(user_credits.credits, 0) as bigint) as credits,
        cast(coalesce(credit_sums.credits_added, 0) as bigint) as credits_added,
        cast(coalesce(credit_sums.credits_spent, 0) as bigint) as credits_spent
    from users
    left join user_points on users.user_id = user_points.user_id
    left join user_credits on users.user_id = user_credits.user_id
    left join point_sums on users.user_id = point_sums.user_id
    left join credit_sums on users.user_id = credit_sums.user_id

)

select * from final
