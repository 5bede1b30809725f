"""How pages name fees: by the words of `fees.explanations`."""

from collections.abc import Mapping
from decimal import Decimal

from django import template

from fees import explanations
from fees.calc.crystallisation import FeeLine
from fees.calc.kinds import FeeKind
from fees.explanations import FeeOfKind

register = template.Library()


@register.filter
def fee_kinds(amounts: Mapping[FeeKind, Decimal]) -> list[FeeOfKind]:
    """Fees by kind, in the order in which they are charged."""
    return explanations.fees_by_kind(amounts)


@register.filter
def fee_title(line: FeeLine) -> str:
    """What a fee that would be charged is called."""
    return explanations.fee_title(line.kind, collects_debt=line.collects_debt)
