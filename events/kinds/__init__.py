"""The kinds of notifications there are: who they are for, what they say, where they lead."""

from collections.abc import Mapping

from django.utils.translation import gettext_lazy as _

from events.kinds.investors import INVESTORS
from events.kinds.kind import Group, Kind, Link, Words, one
from events.kinds.managers import MANAGERS, PAYEES
from events.kinds.security import SECURITY
from events.kinds.staff import STAFF

__all__ = ["KINDS", "OTHER", "Group", "Kind", "Link", "Words"]

KINDS: Mapping[str, Kind] = {kind.code: kind for kind in (*INVESTORS, *MANAGERS, *PAYEES, *STAFF, *SECURITY)}
"""By code, in the order in which the page of preferences shows them."""

OTHER = Kind(
    "other",
    Group.INVESTMENTS,
    _("Notification"),
    "bell",
    one(_("Notification"), _("Of a kind that there is no more.")),
    Link("events:notifications", _("See your notifications")),
)
"""What was told once by a kind that has been taken away since."""
