with

accounts as (

    select * from {{ ref('stg_accounts') }}

),

final as (

    select
        account_id,
        username,
        display_name,
        role,
        organization_id,
        created_at,
        updated_at
    from accounts

)

select * from final
