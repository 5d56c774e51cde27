with

source as (

    select * from {{ source('raw', 'visitor_sessions') }}

),

final as (

    select
        id as visitor_session_id,
        session_id,
        ip_hash,
        ua_hash,
        first_seen_at,
        last_seen_at
    from source

)

select * from final
