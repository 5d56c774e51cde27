with

source as (

    select * from {{ source('raw', 'users') }}

),

final as (

    select
        id as user_id,
        name as user_name,
        email,
        user_type,
        country_code,
        account_id
    from source

)

select * from final
