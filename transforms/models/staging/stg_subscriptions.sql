with

source as (

    select * from {{ source('raw', 'subscriptions') }}

),

final as (

    select
        id as subscription_id,
        org_id as organization_id,
        plan,
        duration,
        status,
        started_at,
        ends_at,
        updated_at
    from source

)

select * from final
