with

users as (

    select * from {{ ref('stg_users') }}

),

final as (

    select
        user_id,
        user_name,
        email,
        user_type,
        country_code,
        account_id
    from users

)

select * from final
