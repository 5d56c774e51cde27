{#
    The strategies that Spark knows here: `append`, and `replace_days`, by which the folders of the days that the model gives
    are overwritten. A day that it gives no row for any more is emptied first, by an overwrite with nothing.
    dbt-spark has no place for a strategy of a project's own: these two take the places of its macros.
#}
{% macro dbt_spark_validate_get_incremental_strategy(raw_strategy, file_format) -%}
    {%- if raw_strategy not in ['append', 'replace_days'] -%}
        {%- do exceptions.raise_compiler_error('no incremental strategy ' ~ raw_strategy ~ ' on Spark: append or replace_days') -%}
    {%- endif -%}
    {{ return(raw_strategy) }}
{%- endmacro %}

{% macro dbt_spark_get_incremental_sql(strategy, source, target, existing, unique_key, incremental_predicates) -%}
    {%- set columns = adapter.get_columns_in_relation(target) | map(attribute='quoted') | join(', ') -%}
    {%- if strategy == 'replace_days' -%}
        {%- do footfall.empty_touched_periods(source, target) -%}
        insert overwrite table {{ target }} {{ partition_cols('partition') }}
        select {{ columns }} from {{ source }}
    {%- else -%}
        insert into table {{ target }}
        select {{ columns }} from {{ source }}
    {%- endif -%}
{%- endmacro %}

{# Empty the touched days or months of the table that the model gives no row for: an overwrite passes over what is not there. #}
{% macro empty_touched_periods(source, target) -%}
    {%- set period = model.config.meta.touched.day or model.config.meta.touched.month -%}
    {%- set columns = adapter.get_columns_in_relation(target) | rejectattr('name', 'equalto', period) | map(attribute='quoted') | join(', ') -%}
    {%- set gone -%}
        select distinct cast({{ period }} as string) from {{ target }} where {{ footfall.is_touched_period() }}
        except
        select distinct cast({{ period }} as string) from {{ source }}
    {%- endset -%}
    {%- for (value,) in run_query(gone).rows -%}
        {%- do run_query(
            "insert overwrite table " ~ target ~ " partition (" ~ period ~ " = '" ~ value ~ "') select " ~ columns ~ " from "
            ~ source ~ " where false"
        ) -%}
    {%- endfor -%}
{%- endmacro %}
