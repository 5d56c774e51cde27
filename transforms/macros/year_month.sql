{# The month of a day as 'YYYY-MM'. #}
{% macro year_month(day) -%}
    {{ return(adapter.dispatch('year_month', 'footfall')(day)) }}
{%- endmacro %}

{% macro default__year_month(day) -%}
    date_format({{ day }}, 'yyyy-MM')
{%- endmacro %}

{% macro duckdb__year_month(day) -%}
    strftime({{ day }}, '%Y-%m')
{%- endmacro %}
