"""Pages of the API's lists."""

import uuid

from rest_framework.exceptions import NotFound
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request


class LatestFirst(CursorPagination):
    """Pages by cursor, the latest row first: rows that are added meanwhile shift nothing.

    Public ids rise with time, and a cursor made of them tells nobody how many rows there are.
    """

    ordering: str | tuple[str, ...] = "-public_id"
    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 200

    def decode_cursor(self, request: Request) -> Cursor | None:
        """Raises DRF's `NotFound` for a cursor that was not ours."""
        cursor = super().decode_cursor(request)
        if cursor is not None and cursor.position is not None:
            try:
                self.read_position(str(cursor.position))
            except ValueError:
                raise NotFound(self.invalid_cursor_message) from None
        return cursor

    def read_position(self, position: str) -> object:
        """What a cursor points at. Raises `ValueError` where it is none of ours."""
        return uuid.UUID(position)
