with

source as (

    select * from {{ source('raw', 'tracking_documents') }}

),

final as (

    select
        id as tracking_document_id,
        event_id,
        user_id,
        user_type,
        app_name,
        level_name,
        chapter_name,
        document_name,
        country_code,
        ip_hash,
        created_at,
        {{ local_date('created_at') }} as created_date,
        received_at,
        created_at_adjusted as is_created_at_adjusted,
        is_bot
    from source

)

select * from final
