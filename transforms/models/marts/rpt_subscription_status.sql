with

subscriptions as (

    select * from {{ ref('stg_subscriptions') }}

),

statuses as (

    select 'active' as status
    union all
    select 'expired' as status
    union all
    select 'cancelled' as status

),

judged as (

    select
        case
            when status = 'cancelled' then 'cancelled'
            when status = 'expired' or ends_at <= {{ as_of() }} then 'expired'
            else 'active'
        end as status
    from subscriptions

),

final as (

    select
        statuses.status,
        count(judged.status) as subscription_count
    from statuses
    left join judged on statuses.status = judged.status
    group by statuses.status

)

select * from final
