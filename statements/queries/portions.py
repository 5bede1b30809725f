"""Lines of a statement, a portion at a time."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

from django.db.models import Model, QuerySet

LINES_AT_ONCE = 500

Line = TypeVar("Line")
Row = TypeVar("Row", bound=Model)


def portions(lines: Sequence[Line]) -> Iterator[Sequence[Line]]:
    for start in range(0, len(lines), LINES_AT_ONCE):
        yield lines[start : start + LINES_AT_ONCE]


def rows_in_portions(ordered: QuerySet[Row], shown: QuerySet[Row]) -> Iterator[list[Row]]:
    """The rows of `ordered`, in its order, each read as `shown` reads it: one statement finds the order, then
    one a portion, and those of what `shown` prefetches.
    """
    for keys in portions(list(ordered.values_list("pk", flat=True))):
        found = shown.in_bulk(keys)
        yield [found[key] for key in keys]
