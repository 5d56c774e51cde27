with

balances as (

    select * from {{ ref('rpt_points_balances') }}

),

compared as (

    select
        user_id,
        points,
        credits,
        earned_points - redeemed_points as logged_points,
        credits_added - credits_spent as logged_credits
    from balances

),

final as (

    select
        user_id,
        points,
        logged_points,
        credits,
        logged_credits
    from compared
    where
        points <> logged_points
        or credits <> logged_credits

)

select * from final
