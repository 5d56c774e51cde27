with

source as (

    select * from {{ source('raw', 'user_points') }}

),

final as (

    select
        user_id,
        points,
        updated_at
    from source

)

select * from final
