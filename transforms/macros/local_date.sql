{# The day of a moment, where `reporting_timezone` draws the border between two days. #}
{% macro local_date(moment) -%}
    {{ return(adapter.dispatch('local_date', 'footfall')(moment)) }}
{%- endmacro %}

{% macro default__local_date(moment) -%}
    cast(from_utc_timestamp({{ moment }}, '{{ var("reporting_timezone") }}') as date)
{%- endmacro %}

{% macro duckdb__local_date(moment) -%}
    cast({{ moment }} at time zone '{{ var("reporting_timezone") }}' as date)
{%- endmacro %}
