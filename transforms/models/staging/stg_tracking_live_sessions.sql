with

source as (

    select * from {{ source('raw', 'tracking_live_sessions') }}

),

final as (

    select
        session_id,
        user_id,
        user_type,
        app_name,
        country_code,
        last_heartbeat as last_heartbeat_at,
        created_at
    from source

)

select * from final
