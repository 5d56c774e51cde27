{#
    SELECT the rows of a relation that lie near touched days of the node: by `moment`, a column of type TIMESTAMPTZ,
    at most some hours before or after one of them; all rows where all days are to be done. For rows that were written
    together with those of these days, though clocks showed another day by then.
#}
{% macro near_touched_days(relation, moment) %}
    {%- set runs = footfall.touched_runs() -%}
    {%- if runs is none -%}
        select * from {{ relation }}
    {%- else -%}
        {%- for run in runs -%}
            select * from {{ relation }} where {{ footfall.is_near_run(run, moment) }}
            {%- if not loop.last %} union all {% endif -%}
        {%- else -%}
            select * from {{ relation }} where false
        {%- endfor -%}
    {%- endif -%}
{% endmacro %}

{# Whether a moment is at most three hours from a run of days, or little more. #}
{% macro is_near_run(run, moment) -%}
    {%- set three_hours = modules.datetime.timedelta(hours=3) -%}
    {%- set midnight = modules.datetime.time() -%}
    {%- if run[0].year > 1 -%}
        {{ moment }} >= {{ footfall.local_moment(modules.datetime.datetime.combine(run[0], midnight) - three_hours) }}
    {%- else -%}
        true
    {%- endif -%}
    {%- if run[1].year < 9999 %}
        and {{ moment }} < {{ footfall.local_moment(modules.datetime.datetime.combine(run[1], midnight) + 9 * three_hours) }}
    {%- endif -%}
{%- endmacro %}
