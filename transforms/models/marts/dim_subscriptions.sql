with

versions as (

    select * from {{ ref('int_subscription_versions') }}

),

spans as (

    select
        *,
        lead(valid_from) over (partition by subscription_id order by valid_from) as valid_to
    from versions

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
        valid_from,
        valid_to,
        valid_to is null as is_current
    from spans
    where not is_deleted

)

select * from final
