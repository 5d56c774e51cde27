{#
    A table on Spark is Parquet in a folder of its own below the lake, new for each build from the start: so that a build
    that was killed leaves the last whole one, and nothing is written where others read.
#}
{% macro spark__location_clause() -%}
    location '{{ var('lake') }}/models/{{ model.schema }}.{{ model.alias }}/{{ var('build') }}'
{%- endmacro %}

{# Days and months are folders: they are replaced whole. #}
{% macro spark__partition_cols(label, required=false) -%}
    {%- set declared = model.config.meta.touched -%}
    {%- if declared -%}
        {{ label }} ({{ declared.day or declared.month }})
    {%- endif -%}
{%- endmacro %}

{% macro spark__file_format_clause() -%}
    using parquet
{%- endmacro %}

{# What a contract calls a type, in Spark's words: a uuid is its sixteen bytes. #}
{% macro spark_type(data_type) -%}
    {%- set names = {'TIMESTAMPTZ': 'timestamp', 'UUID': 'binary', 'VARCHAR': 'string'} -%}
    {{ return(names.get(data_type, data_type)) }}
{%- endmacro %}

{# No rows, with the columns that a contract promises: dbt holds to them what a model gives. #}
{% macro spark__get_empty_schema_sql(columns) -%}
    select
    {%- for column in columns.values() %}
        cast(null as {{ footfall.spark_type(column.data_type) }}) as {{ column.name }}{{ ',' if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{# Names and meanings are in the published file. #}
{% macro spark__persist_docs(relation, model, for_relation, for_columns) -%}
{%- endmacro %}

{# Parquet knows no NOT NULL: the marts are held to it where they come back (`warehouse.returned`). #}
{% macro spark__persist_constraints(relation, model) -%}
{%- endmacro %}
