{#
    What share of a whole a part is, in percent with one decimal, half up; null where there is no whole.
    Tenths of a percent are counted in whole numbers: rounding the quotient itself would go wrong at 0.15,
    which no float holds.
#}
{% macro percent(part, whole) -%}
    cast(
        cast(floor((2000 * {{ part }} + {{ whole }}) / nullif(2 * {{ whole }}, 0)) as decimal(5, 0))
        * cast(0.1 as decimal(2, 1)) as decimal(4, 1)
    )
{%- endmacro %}
