"""Files of rows, streamed: any number of rows in constant memory, always inside the broker's scope."""

import csv
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from django.db.models import Model, QuerySet
from django.http import StreamingHttpResponse

from brokers.scope import broker_scope, current_broker_id
from brokers.spreadsheets import harmless

M = TypeVar("M", bound=Model)
ROWS_AT_ONCE = 500


def csv_answer(
    filename: str, header: Sequence[str], rows: QuerySet[M], columns_of: Callable[[M], Sequence[str]]
) -> StreamingHttpResponse:
    """A file of `rows`, oldest first; `columns_of` writes one: amounts with a point, times in UTC.

    Texts people chose are made harmless for spreadsheets.
    """
    lines = csv_lines(current_broker_id(), header, rows, columns_of)
    response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{filename}"'
    return response


def csv_lines(
    broker_id: int, header: Sequence[str], rows: QuerySet[M], columns_of: Callable[[M], Sequence[str]]
) -> Iterator[str]:
    """Lines of the file. The scope is entered anew for every batch: whoever reads lines may have left his."""
    writer = csv.writer(_Line())
    yield writer.writerow(header)
    last = 0
    while True:
        with broker_scope(broker_id):
            batch = list(rows.filter(pk__gt=last).order_by("pk")[:ROWS_AT_ONCE])
            written = [[harmless(text) for text in columns_of(row)] for row in batch]
        if not batch:
            return
        last = batch[-1].pk
        for columns in written:
            yield writer.writerow(columns)


class _Line:
    """What `csv` writes to: gives each line back."""

    def write(self, line: str) -> str:
        return line
