"""How pages write the period of a statement."""

from django import template

from statements.calc.period import Period
from statements.words import period_in_words

register = template.Library()


@register.filter
def days(period: Period) -> str:
    return period_in_words(period)
