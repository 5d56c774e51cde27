with

source as (

    select * from {{ source('raw', 'tracking_events') }}

),

final as (

    select
        id as tracking_event_id,
        event_id,
        user_id,
        user_type,
        app_name,
        event_type,
        event_name,
        country_code,
        ip_hash,
        os,
        device_type,
        session_id,
        meta,
        created_at,
        {{ local_date('created_at') }} as created_date,
        received_at,
        created_at_adjusted as is_created_at_adjusted,
        is_bot
    from source
    where not {{ is_canary() }}

)

select * from final
