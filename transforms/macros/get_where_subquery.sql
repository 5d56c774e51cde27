{#
    What a test of a model's column or key looks at: of a model that is built day by day the touched days, so that
    a test costs as much as there is new; of any other model all rows, as in dbt.
#}
{% macro get_where_subquery(relation) -%}
    {%- set tested = graph.nodes.get(model.attached_node) if execute else none -%}
    {%- set runs = footfall.touched_runs(tested) if tested else none -%}
    {%- if runs is none or config.get('where') -%}
        {{ return(adapter.dispatch('get_where_subquery', 'dbt')(relation)) }}
    {%- endif -%}
    {%- set declared = tested.config.meta.touched -%}
    {%- set rows -%}
        {%- if declared.month -%}
            select * from {{ relation }} where {{ footfall.is_touched_period(tested) }}
        {%- else -%}
            {{ footfall.touched_rows(relation, declared.day, declared.moment, tested) }}
        {%- endif -%}
    {%- endset -%}
    {{ return('(' ~ rows ~ ') as touched') }}
{%- endmacro %}
