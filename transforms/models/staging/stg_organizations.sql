with

source as (

    select * from {{ source('raw', 'organizations') }}

),

final as (

    select
        id as organization_id,
        name as organization_name,
        slug as organization_slug,
        created_at,
        updated_at
    from source

)

select * from final
