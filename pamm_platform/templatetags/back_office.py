"""Filters of the back office's own pages."""

from decimal import Decimal
from typing import Any

from django import template
from django.utils.safestring import SafeString

from pamm_platform import admin_pages
from pamm_platform.templatetags.figures import NOTHING

register = template.Library()


@register.filter
def exact(number: Decimal | None) -> str:
    """Every digit that the number has, without the zeros at its end."""
    return NOTHING if number is None else admin_pages.plain(number)


@register.filter
def opened(content: Any) -> SafeString | str:
    """JSON as a table of its keys."""
    return admin_pages.opened(content)
