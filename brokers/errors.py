"""Refusals: what the platform declines to do, each with a stable code that pages, API and logs share."""

from decimal import Decimal
from typing import Any, ClassVar

from django.utils.formats import number_format
from django.utils.translation import gettext_lazy as _


class Refusal(Exception):
    """A request that breaks a rule. Nothing was changed.

    `code` is stable and public; `status` is the HTTP status of the answer; `message` is a translatable
    template filled with `fields`; `field` names the input at fault, if one is. One error handler renders it
    for pages, one for the API.
    """

    code: ClassVar[str] = "refused"
    status: ClassVar[int] = 422
    message: ClassVar[Any] = _("This cannot be done.")

    def __init__(self, *, field: str | None = None, **fields: Any) -> None:
        self.field = field
        self.fields = fields
        super().__init__(self.code)

    def __str__(self) -> str:
        """The message in the active language; amounts as people write them, without stored places that say
        nothing.
        """
        return str(self.message).format(**{name: _written(value) for name, value in self.fields.items()})


def _written(value: Any) -> Any:
    if not isinstance(value, Decimal) or not value.is_finite():
        return value
    places = max(-int(value.normalize().as_tuple().exponent), 0)
    # One decimal of an amount reads like a typing error: 0.5 is written 0.50.
    return number_format(value, decimal_pos=2 if places == 1 else places, force_grouping=True)


class NotFound(Refusal):
    """Something that does not exist, or not for this person: the two look the same from outside."""

    code = "not_found"
    status = 404
    message = _("Not found.")


class NotAllowed(Refusal):
    code = "not_allowed"
    status = 403
    message = _("You may not do this.")
