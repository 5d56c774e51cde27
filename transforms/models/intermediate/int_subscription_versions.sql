with

subscriptions as (

    select * from {{ ref('stg_subscriptions') }}

),

known as (

    {% if is_incremental() %}
        select
            *,
            row_number() over (partition by subscription_id order by valid_from desc) as newest_first
        from {{ this }}
    {% else %}
        select
            *,
            updated_at as valid_from,
            false as is_deleted,
            1 as newest_first
        from subscriptions
        where 1 = 0
    {% endif %}

),

latest as (

    select * from known
    where newest_first = 1

),

written as (

    select
        subscriptions.subscription_id,
        subscriptions.organization_id,
        subscriptions.plan,
        subscriptions.duration,
        subscriptions.status,
        subscriptions.started_at,
        subscriptions.ends_at,
        subscriptions.updated_at,
        -- a clock that is ahead, the app's or Postgres's, does not make a version of tomorrow
        least(subscriptions.updated_at, {{ as_of() }}) as written_at,
        latest.valid_from as latest_from,
        false as is_deleted
    from subscriptions
    left join latest on subscriptions.subscription_id = latest.subscription_id
    where
        latest.subscription_id is null
        or latest.is_deleted
        or subscriptions.organization_id is distinct from latest.organization_id
        or subscriptions.plan is distinct from latest.plan
        or subscriptions.duration is distinct from latest.duration
        or subscriptions.status is distinct from latest.status
        or subscriptions.started_at is distinct from latest.started_at
        or subscriptions.ends_at is distinct from latest.ends_at

),

gone as (

    select
        latest.subscription_id,
        latest.organization_id,
        latest.plan,
        latest.duration,
        latest.status,
        latest.started_at,
        latest.ends_at,
        latest.updated_at,
        {{ as_of() }} as written_at,
        latest.valid_from as latest_from,
        true as is_deleted
    from latest
    left join subscriptions on latest.subscription_id = subscriptions.subscription_id
    where
        subscriptions.subscription_id is null
        and not latest.is_deleted

),

found as (

    select * from written
    union all
    select * from gone

),

final as (

    select
        subscription_id,
        organization_id,
        plan,
        duration,
        status,
        started_at,
        ends_at,
        updated_at,
        -- what says that it is not newer than what was known has changed since: at the latest now
        case
            when latest_from is null or written_at > latest_from then written_at
            else greatest({{ as_of() }}, latest_from + interval '1' microsecond)
        end as valid_from,
        is_deleted
    from found

)

select * from final
