{# The month of a moment as 'YYYY-MM', in `reporting_timezone`. #}
{% macro year_month(moment) -%}
    {{ return(adapter.dispatch('year_month', 'footfall')(moment)) }}
{%- endmacro %}

{% macro default__year_month(moment) -%}
    date_format(from_utc_timestamp({{ moment }}, '{{ var("reporting_timezone") }}'), 'yyyy-MM')
{%- endmacro %}

{% macro duckdb__year_month(moment) -%}
    strftime({{ moment }} at time zone '{{ var("reporting_timezone") }}', '%Y-%m')
{%- endmacro %}
