with

source as (

    select * from {{ source('raw', 'forgotten_visitors') }}

),

final as (

    select
        id as forgotten_visitors_id,
        first_seen_at,
        last_seen_at,
        visitor_count
    from source

)

select * from final
