{#
    The moment that "now" means in every model: that of Postgres which was loaded, by its own clock. However long
    loading and building take, who was live then is live here, and all models of one build agree on it. Without a load
    it is when this run of dbt began. The variable of the same name fixes it, for tests.
#}
{% macro as_of() -%}
    {{ adapter.dispatch('moment', 'footfall')(var('as_of', none) or footfall.loaded_at()) }}
{%- endmacro %}

{% macro loaded_at() %}
    {% set builds = adapter.get_relation(target.database, 'meta', 'builds') if execute %}
    {% set found = run_query('select loaded_at from ' ~ builds ~ ' where loaded_at is not null').rows if builds %}
    {{ return((found[0][0] if found else run_started_at).isoformat()) }}
{% endmacro %}

{% macro default__moment(text) -%}
    cast('{{ text }}' as timestamp)
{%- endmacro %}

{% macro duckdb__moment(text) -%}
    cast('{{ text }}' as timestamptz)
{%- endmacro %}
