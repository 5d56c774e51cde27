{#
    The moment that "now" means in every model: when this run of dbt began, so that all models of one build agree
    on who is there and what has ended. The variable of the same name fixes it, for tests and reruns.
#}
{% macro as_of() -%}
    {{ adapter.dispatch('moment', 'footfall')(var('as_of', none) or run_started_at.isoformat()) }}
{%- endmacro %}

{% macro default__moment(text) -%}
    cast('{{ text }}' as timestamp)
{%- endmacro %}

{% macro duckdb__moment(text) -%}
    cast('{{ text }}' as timestamptz)
{%- endmacro %}
