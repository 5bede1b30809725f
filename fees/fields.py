"""Column types of `fees`."""

from typing import Any

from django.db import models

from fees.calc.explanation import ExplanationInvalid, is_kept, kept_of, recomputed


class ExplanationField(models.JSONField):
    """A record of `fees.calc.explanation`, stored as the inputs of its fee.

    Steps and amounts are computed from them whenever it is read: so they are not written a million times at
    the end of a month, and cannot say anything else. Whatever else stands in the column is read as it is.
    """

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        if isinstance(value, dict) and "inputs" in value:
            value = kept_of(value)
        return super().get_db_prep_value(value, connection, prepared)

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        kept = super().from_db_value(value, expression, connection)
        if not is_kept(kept):
            return kept
        try:
            return recomputed(kept)
        except ExplanationInvalid:
            return kept
