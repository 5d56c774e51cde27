with

source as (

    select * from {{ source('raw', 'admin_settings') }}

),

final as (

    select
        setting_key,
        setting_value
    from source

)

select * from final
