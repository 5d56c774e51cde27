with

source as (

    select * from {{ source('raw', 'user_credit_logs') }}

),

final as (

    select
        id as credit_log_id,
        user_id,
        credits_added,
        points_consumed,
        point_log_id,
        created_at,
        {{ local_date('created_at') }} as created_date
    from source

)

select * from final
