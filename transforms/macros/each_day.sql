{# One row per day from `first` to the day before `next`: an item of a SELECT, which multiplies its rows. #}
{% macro each_day(first, next) -%}
    {{ return(adapter.dispatch('each_day', 'footfall')(first, next)) }}
{%- endmacro %}

{% macro default__each_day(first, next) -%}
    explode(case when {{ next }} > {{ first }} then sequence({{ first }}, date_sub({{ next }}, 1)) end)
{%- endmacro %}

{% macro duckdb__each_day(first, next) -%}
    unnest(cast(range({{ first }}, {{ next }}, interval 1 day) as date[]))
{%- endmacro %}
