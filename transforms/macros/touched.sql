{#
    Days with new rows are built anew, whole; the others stay as they are. Which days these are is read off
    `meta.touched`, when a model is compiled: so they stand in its SQL as literals, by which whole row groups and
    files are skipped. A model says in its YAML what it depends on (`meta: {touched: …}`, see `touched_runs`).
#}

{#
    Runs of touched days, each [first day, last day], for the node that is compiled or for the node `about`; none
    where all days are to be done: in a full refresh, in a table that is new, and where nothing is known.
    `meta.touched` of a node has `tables`, the event and log tables whose new rows matter, and either `day`, its
    column of type DATE, and `moment`, if it has the column that `day` is of; or `month`, its column 'YYYY-MM': then
    runs are of whole months. There are twenty at most: days between may be built again, that does no harm.
#}
{% macro touched_runs(about=none) %}
    {% set node = about or model %}
    {% set declared = node.config.meta.touched %}
    {% if not execute or not declared or should_full_refresh() %}{{ return(none) }}{% endif %}
    {% if about is none and node.resource_type == 'model' and not is_incremental() %}{{ return(none) }}{% endif %}
    {% set days = footfall.touched_days(declared.tables) %}
    {% if days is none %}{{ return(none) }}{% endif %}
    {% set periods = [] %}
    {% for day in days %}
        {% set first = day.replace(day=1) if declared.month else day %}
        {% do periods.append([first, footfall.last_day_of_month(day) if declared.month else day]) %}
    {% endfor %}
    {% set gaps = [] %}
    {% for first, _ in periods[1:] %}{% do gaps.append((first - periods[loop.index0][1]).days) %}{% endfor %}
    {# each run costs every model some milliseconds: of more than twenty, the narrower gaps are built as well #}
    {% set bridged = ([1] + (gaps | sort(reverse=true))[19:20]) | max %}
    {% set runs = periods[:1] %}
    {% for first, last in periods[1:] %}
        {% if gaps[loop.index0] <= bridged %}
            {% do runs.append([runs.pop()[0], last]) %}
        {% else %}
            {% do runs.append([first, last]) %}
        {% endif %}
    {% endfor %}
    {{ return(runs) }}
{% endmacro %}

{# The days of `reporting_timezone` in which these tables have new rows, in order; none where all days have. #}
{% macro touched_days(table_names) %}
    {% set touched = adapter.get_relation(target.database, 'meta', 'touched') %}
    {% if touched is none %}{{ return(none) }}{% endif %}
    {% set query %}
        with
        slots as (
            select quarter_hour
            from {{ touched }}
            where table_name in ('*', '{{ table_names | join("', '") }}')
        )
        select {{ local_date('quarter_hour') }} as touched_day from slots
        union
        -- both ends: some places counted minutes and seconds that no quarter hour begins with, long ago
        select {{ local_date("(quarter_hour + interval '899' second)") }} from slots
        order by touched_day nulls first
    {% endset %}
    {% set days = [] %}
    {% for (day,) in run_query(query).rows %}
        {% if day is none %}{{ return(none) }}{% endif %}
        {% do days.append(modules.datetime.date.fromisoformat((day | string)[:10])) %}
    {% endfor %}
    {{ return(days) }}
{% endmacro %}

{% macro last_day_of_month(day) %}
    {% if day.month == 12 %}{{ return(day.replace(day=31)) }}{% endif %}
    {{ return(day.replace(month=day.month + 1, day=1) - modules.datetime.timedelta(days=1)) }}
{% endmacro %}

{#
    SELECT the rows of a relation that the node is to be built or tested on: those of touched days, or all. `day` is
    the relation's column of type DATE; `moment`, where it has one, the TIMESTAMPTZ that `day` is of. The ranges are
    put together by UNION ALL, for DuckDB does not skip files by an OR.
#}
{% macro touched_rows(relation, day, moment=none, about=none) %}
    {%- set runs = footfall.touched_runs(about) -%}
    {%- if runs is none -%}
        select * from {{ relation }}
    {%- else -%}
        {%- for run in runs -%}
            select * from {{ relation }} where {{ footfall.is_in_run(run, day, moment) }}
            {%- if not loop.last %} union all {% endif -%}
        {%- else -%}
            select * from {{ relation }} where false
        {%- endfor -%}
    {%- endif -%}
{% endmacro %}

{#
    Whether a row lies in a run of days. The range of `moment` is there to skip by, and some hours wider than the
    days: what the clocks do at a midnight does not matter.
#}
{% macro is_in_run(run, day, moment=none) -%}
    {%- set three_hours = modules.datetime.timedelta(hours=3) -%}
    {%- set midnight = modules.datetime.time() -%}
    {%- if moment and run[0].year > 1 -%}
        {%- set from = modules.datetime.datetime.combine(run[0], midnight) - three_hours -%}
        {{ moment }} >= {{ footfall.local_moment(from) }} and {% endif -%}
    {%- if moment and run[1].year < 9999 -%}
        {%- set until = modules.datetime.datetime.combine(run[1], midnight) + 9 * three_hours -%}
        {{ moment }} < {{ footfall.local_moment(until) }} and {% endif -%}
    {%- if run[0] == run[1] -%}
        {{ day }} = cast('{{ run[0] }}' as date)
    {%- else -%}
        {{ day }} between cast('{{ run[0] }}' as date) and cast('{{ run[1] }}' as date)
    {%- endif -%}
{%- endmacro %}

{# The moment at which clocks in `reporting_timezone` show this. #}
{% macro local_moment(shown) -%}
    {{ return(adapter.dispatch('local_moment', 'footfall')(shown)) }}
{%- endmacro %}

{% macro default__local_moment(shown) -%}
    to_utc_timestamp('{{ shown }}', '{{ var("reporting_timezone") }}')
{%- endmacro %}

{% macro duckdb__local_moment(shown) -%}
    (cast('{{ shown }}' as timestamp) at time zone '{{ var("reporting_timezone") }}')
{%- endmacro %}
