"""Pages of a long list, newest first: each goes on below the last row seen, so new rows never shift it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest

PARAMETER = "before"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Page:
    """What `components/pagination.html` shows below the rows."""

    rows: Sequence[Any]
    is_first: bool
    first_url: str
    next_url: str


def page_by_id(request: HttpRequest, rows: QuerySet[Any], size: int, *, oldest_first: bool = False) -> Page:
    """One page of `rows` by primary key; other parameters of the address are kept."""
    seen = request.GET.get(PARAMETER, "")
    is_first = not (seen.isdecimal() and len(seen) < 19)
    if not is_first:
        rows = rows.filter(pk__gt=int(seen)) if oldest_first else rows.filter(pk__lt=int(seen))
    found = list(rows.order_by("pk" if oldest_first else "-pk")[: size + 1])
    shown = found[:size]
    return Page(
        rows=shown,
        is_first=is_first,
        first_url=_address(request, None),
        next_url=_address(request, shown[-1].pk) if len(found) > size else "",
    )


def page_by_time(request: HttpRequest, rows: QuerySet[Any], size: int, column: str) -> Page:
    """One page of `rows`, the latest first by a time, then by primary key; other parameters are kept."""
    moment, _dash, key = request.GET.get(PARAMETER, "").partition("-")
    is_first = not (moment.isdecimal() and key.isdecimal() and len(moment) < 17 and len(key) < 19)
    if not is_first:
        at = _EPOCH + timedelta(microseconds=int(moment))
        # The first condition is what an index can be entered by.
        rows = rows.filter(**{f"{column}__lte": at}).filter(Q(**{f"{column}__lt": at}) | Q(pk__lt=int(key)))
    found = list(rows.order_by(f"-{column}", "-pk")[: size + 1])
    shown, after = found[:size], None
    if len(found) > size:
        passed = (getattr(shown[-1], column) - _EPOCH) // timedelta(microseconds=1)
        after = f"{passed}-{shown[-1].pk}"
    return Page(
        rows=shown,
        is_first=is_first,
        first_url=_address(request, None),
        next_url=_address(request, after) if after else "",
    )


def _address(request: HttpRequest, seen: int | str | None) -> str:
    parameters = request.GET.copy()
    parameters.pop(PARAMETER, None)
    if seen is not None:
        parameters[PARAMETER] = str(seen)
    query = parameters.urlencode()
    return f"{request.path}?{query}" if query else request.path
