with

source as (

    select * from {{ source('raw', 'user_heartbeats') }}

),

final as (

    select
        user_id as account_id,
        last_seen_at
    from source

)

select * from final
