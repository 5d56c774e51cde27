with

organizations as (

    select * from {{ ref('stg_organizations') }}

),

final as (

    select
        organization_id,
        organization_name,
        organization_slug,
        created_at,
        updated_at
    from organizations

)

select * from final
