with

accounts as (

    select * from {{ ref('int_account_status') }}

),

statuses as (

    select 'active' as status
    union all
    select 'expired' as status
    union all
    select 'inactive' as status

),

all_accounts as (

    select count(*) as user_count
    from accounts

),

counted as (

    select
        statuses.status,
        count(accounts.account_id) as user_count
    from statuses
    left join accounts on statuses.status = accounts.status
    group by statuses.status

),

final as (

    select
        counted.status,
        counted.user_count,
        {{ percent('counted.user_count', 'all_accounts.user_count') }} as user_percent
    from counted
    cross join all_accounts

)

select * from final
