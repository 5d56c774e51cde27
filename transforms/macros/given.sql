{#
    A relation that is no table of Postgres: what is not sealed yet (`raw`), and what the warehouse knows of the sealed days
    (`sources`). Spark has views of them beside those of staging.
#}
{% macro given(schema, name) -%}
    {{ return(adapter.dispatch('given', 'footfall')(schema, name)) }}
{%- endmacro %}

{% macro default__given(schema, name) -%}
    staging.{{ schema }}_{{ name }}
{%- endmacro %}

{% macro duckdb__given(schema, name) -%}
    {{ schema }}.{{ name }}
{%- endmacro %}
