with

point_logs as (

    {{ touched_rows(ref('stg_user_point_logs'), 'created_date', 'created_at') }}

),

final as (

    select
        created_date as log_date,
        cast(coalesce(sum(points) filter (where action = 'earn'), 0) as bigint) as earned_points,
        cast(coalesce(sum(points) filter (where action = 'redeem'), 0) as bigint) as redeemed_points,
        count(distinct user_id) filter (where action = 'earn') as earning_user_count,
        count(distinct user_id) filter (where action = 'redeem') as redeeming_user_count
    from point_logs
    group by created_date

)

select * from final
