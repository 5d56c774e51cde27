with

accounts as (

    select * from {{ ref('stg_accounts') }}

),

heartbeats as (

    select * from {{ ref('stg_user_heartbeats') }}

),

live_window as (

    select * from {{ ref('int_live_window') }}

),

subscriptions as (

    select * from {{ ref('stg_subscriptions') }}

),

active_accounts as (

    select distinct heartbeats.account_id
    from heartbeats
    cross join live_window
    where heartbeats.last_seen_at > live_window.live_since_at

),

organizations as (

    select
        organization_id,
        count(*) filter (where status = 'active' and ends_at > {{ as_of() }}) as live_count,
        count(*) filter (where status = 'expired' or ends_at <= {{ as_of() }}) as expired_count
    from subscriptions
    group by organization_id

),

judged as (

    select
        accounts.account_id,
        accounts.organization_id,
        active_accounts.account_id is not null as is_active_now,
        coalesce(organizations.live_count = 0 and organizations.expired_count > 0, false) as is_expired
    from accounts
    left join active_accounts on accounts.account_id = active_accounts.account_id
    left join organizations on accounts.organization_id = organizations.organization_id

),

final as (

    select
        account_id,
        organization_id,
        is_active_now,
        is_expired,
        case
            when is_active_now then 'active'
            when is_expired then 'expired'
            else 'inactive'
        end as status
    from judged

)

select * from final
