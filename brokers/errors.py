"""Refusals: what the platform declines to do, each with a stable code that pages, API and logs share."""

from typing import Any, ClassVar

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
        return str(self.message).format(**self.fields)


class NotFound(Refusal):
    """Something that does not exist, or not for this person: the two look the same from outside."""

    code = "not_found"
    status = 404
    message = _("Not found.")


class NotAllowed(Refusal):
    code = "not_allowed"
    status = 403
    message = _("You may not do this.")
