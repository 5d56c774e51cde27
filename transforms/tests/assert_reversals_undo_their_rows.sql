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

point_logs as (

    select * from {{ source('raw', 'user_point_logs') }}

),

credit_logs as (

    select * from {{ source('raw', 'user_credit_logs') }}

),

reversals as (

    select * from new_point_logs
    where reverses_id is not null

),

repeated as (

    select point_logs.reverses_id
    from point_logs
    inner join reversals on point_logs.reverses_id = reversals.reverses_id
    where point_logs.id <> reversals.id

),

final as (

    select
        reversals.user_id,
        reversals.id as point_log_id,
        reversals.reverses_id,
        reversals.points,
        undone.points as undone_points,
        returned.credits_added,
        bought.credits_added as bought_credits
    from reversals
    left join point_logs as undone on reversals.reverses_id = undone.id
    -- of a redemption, its credits go
    left join credit_logs as bought on undone.id = bought.point_log_id
    left join credit_logs as returned on reversals.id = returned.point_log_id
    where
        undone.id is null
        or undone.user_id <> reversals.user_id
        or undone.action = reversals.action
        or undone.points <> reversals.points
        or undone.reverses_id is not null
        or coalesce(bought.credits_added, 0) + coalesce(returned.credits_added, 0) <> 0
        or coalesce(bought.points_consumed, 0) + coalesce(returned.points_consumed, 0) <> 0
        or reversals.reverses_id in (select repeated.reverses_id from repeated)

)

select * from final
