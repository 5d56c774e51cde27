{# The moment that "now" means in every model. The variable of the same name fixes it, for tests and reruns. #}
{% macro as_of() -%}
    {%- set moment = var('as_of', none) -%}
    {%- if moment is none -%}
        current_timestamp
    {%- else -%}
        {{ adapter.dispatch('moment', 'footfall')(moment) }}
    {%- endif -%}
{%- endmacro %}

{% macro default__moment(text) -%}
    cast('{{ text }}' as timestamp)
{%- endmacro %}

{% macro duckdb__moment(text) -%}
    cast('{{ text }}' as timestamptz)
{%- endmacro %}
