{# Every window begins where windows of its length begin. #}
{% test aligned(model, column, unit) %}
select {{ column }} from {{ model }} where {{ column }} <> date_trunc('{{ unit }}', {{ column }})
{% endtest %}
