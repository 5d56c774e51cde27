with

live_sessions as (

    select * from {{ ref('stg_tracking_live_sessions') }}

),

live_window as (

    select * from {{ ref('int_live_window') }}

),

observed as (

    select
        {{ as_of() }} as observed_at,
        live_sessions.app_name,
        live_sessions.country_code,
        live_sessions.user_type,
        count(distinct live_sessions.user_id) as live_user_count
    from live_sessions
    cross join live_window
    where live_sessions.last_heartbeat_at >= live_window.live_since_at
    group by
        live_sessions.app_name,
        live_sessions.country_code,
        live_sessions.user_type

),

final as (

    select * from observed
    {% if is_incremental() %}
        -- a build that is done once more for the same moment sees nothing new
        where observed_at not in (select seen.observed_at from {{ this }} as seen)
    {% endif %}

)

select * from final
