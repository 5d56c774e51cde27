with

admin_settings as (

    select * from {{ ref('stg_admin_settings') }}

),

timeout as (

    select coalesce(max(cast(setting_value as bigint)), 5) as timeout_minutes
    from admin_settings
    where setting_key = 'live_session_timeout_minutes'

),

final as (

    select
        timeout_minutes,
        {{ as_of() }} - timeout_minutes * interval '1' minute as live_since_at
    from timeout

)

select * from final
