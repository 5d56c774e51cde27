with

source as (

    select * from {{ source('raw', 'accounts') }}

),

final as (

    select
        id as account_id,
        username,
        display_name,
        role,
        org_id as organization_id,
        created_at,
        updated_at
    from source

)

select * from final
