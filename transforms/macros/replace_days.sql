{#
    The incremental strategy of all tables with days or months: what is touched goes, what the model gives for it
    comes, in one transaction. So a day whose rows all went is emptied, and to do it twice changes nothing.
#}
{% macro get_incremental_replace_days_sql(arguments) %}
    {{ return(adapter.dispatch('replace_days_sql', 'footfall')(arguments)) }}
{% endmacro %}

{% macro default__replace_days_sql(arguments) %}
    {% set columns = get_quoted_csv(arguments['dest_columns'] | map(attribute='name')) %}
    delete from {{ arguments['target_relation'] }} where {{ footfall.is_touched_period() }};
    insert into {{ arguments['target_relation'] }} ({{ columns }})
    select {{ columns }} from {{ arguments['temp_relation'] }}
{% endmacro %}

{# Whether a row of the table of the model, or of the node `about`, is of a touched day or month. #}
{% macro is_touched_period(about=none) %}
    {%- set declared = (about or model).config.meta.touched -%}
    {%- set runs = footfall.touched_runs(about) -%}
    {%- if runs is none -%}
        true
    {%- else -%}
        {%- for run in runs -%}
            ({%- if declared.month -%}
                {{ declared.month }} between '{{ (run[0] | string)[:7] }}' and '{{ (run[1] | string)[:7] }}'
            {%- else -%}
                {{ footfall.is_in_run(run, declared.day) }}
            {%- endif -%}){{ ' or ' if not loop.last }}
        {%- else -%}
            false
        {%- endfor -%}
    {%- endif -%}
{% endmacro %}
