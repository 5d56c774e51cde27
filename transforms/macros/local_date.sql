{# The day of a moment, where `reporting_timezone`, or the one that is named, draws the border between two days. #}
{% macro local_date(moment, timezone=none) -%}
    {{ return(adapter.dispatch('local_date', 'footfall')(moment, timezone or var("reporting_timezone"))) }}
{%- endmacro %}

{% macro default__local_date(moment, timezone) -%}
    cast(from_utc_timestamp({{ moment }}, '{{ timezone }}') as date)
{%- endmacro %}

{% macro duckdb__local_date(moment, timezone) -%}
    cast({{ moment }} at time zone '{{ timezone }}' as date)
{%- endmacro %}
