with

source as (

    select * from {{ source('raw', 'user_point_logs') }}

),

final as (

    select
        id as point_log_id,
        user_id,
        action,
        points,
        related_event,
        reverses_id as reverses_point_log_id,
        reason,
        event_id,
        rule_id,
        created_at,
        {{ local_date('created_at') }} as created_date
    from source

)

select * from final
