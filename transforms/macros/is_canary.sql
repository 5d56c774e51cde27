{#
    Whether a tracking event is one of footfall's own, sent each minute to time the way to the published file: no app's,
    and in no report. Staging leaves it out; what reads raw rows has to.
#}
{% macro is_canary() -%}
    (app_name = 'footfall.canary') is true
{%- endmacro %}
