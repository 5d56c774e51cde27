{# The names of all raw tables, as the sources declare them; none while dbt parses. #}
{% macro raw_tables() -%}
    {{ return(graph.sources.values() | map(attribute='name') | list if execute else []) }}
{%- endmacro %}
