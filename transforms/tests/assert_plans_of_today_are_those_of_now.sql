{{ config(meta={'dagster': {'ref': {'name': 'rpt_plan_distribution_daily'}}}) }}

with

plans as (

    select * from {{ ref('rpt_plan_distribution') }}

),

plans_of_today as (

    select * from {{ ref('rpt_plan_distribution_daily') }}
    where snapshot_date = {{ local_date(as_of()) }}

),

only_now as (

    select
        plan,
        subscription_count,
        subscription_percent
    from plans

    except

    select
        plan,
        subscription_count,
        subscription_percent
    from plans_of_today

),

only_today as (

    select
        plan,
        subscription_count,
        subscription_percent
    from plans_of_today

    except

    select
        plan,
        subscription_count,
        subscription_percent
    from plans

),

final as (

    select * from only_now
    union all
    select * from only_today

)

select * from final
