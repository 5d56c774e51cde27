{{ config(
    meta={
        'touched': {'tables': ['user_point_logs']},
        'dagster': {'ref': {'name': 'rpt_points_daily'}},
    }
) }}

-- what it is a check of, and runs after
-- depends_on: {{ ref('rpt_points_daily') }}
with

point_logs as (

    {{ touched_rows(source('raw', 'user_point_logs'), local_date('created_at'), 'created_at') }}

),

rewards as (

    select
        user_id,
        event_id,
        points
    from {{ source('raw', 'user_point_logs') }}
    where event_id is not null

),

new_rewards as (

    select distinct event_id
    from point_logs
    where event_id is not null

),

final as (

    select
        rewards.event_id,
        min(rewards.user_id) as user_id,
        count(*) as reward_count,
        sum(rewards.points) as points
    from rewards
    inner join new_rewards on rewards.event_id = new_rewards.event_id
    group by rewards.event_id
    having count(*) > 1

)

select * from final
