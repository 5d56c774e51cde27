{#
    On Spark, staging and what it reads are temporary views: a lasting view may not read a temporary one, and only these
    read the very files that the manifest names. They live in the schema `staging` (spark.sql.globalTempDatabase), for as
    long as the session does.
#}
{% macro spark__create_view_as(relation, sql) -%}
    create or replace global temporary view {{ relation.identifier }} as
    {{ sql }}
{%- endmacro %}

{# The schema of temporary views is there by itself, and may not be made. #}
{% macro spark__create_schema(relation) -%}
    {%- if relation.schema != 'staging' -%}
        {%- call statement('create_schema') -%}
            create schema if not exists {{ relation }}
        {%- endcall -%}
    {%- endif -%}
{%- endmacro %}
