with

source as (

    select * from {{ source('raw', 'user_credits') }}

),

final as (

    select
        user_id,
        credits,
        updated_at
    from source

)

select * from final
