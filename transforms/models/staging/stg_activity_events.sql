with

source as (

    select * from {{ source('raw', 'activity_events') }}

),

final as (

    select
        id as activity_event_id,
        event_id,
        user_id as account_id,
        event_type,
        action_name,
        created_at,
        {{ local_date('created_at') }} as created_date,
        received_at,
        created_at_adjusted as is_created_at_adjusted,
        is_bot
    from source

)

select * from final
