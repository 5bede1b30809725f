"""The kinds of notifications there are: who they are for, what they say, where they lead."""

from collections.abc import Mapping

from events.kinds.investors import INVESTORS
from events.kinds.kind import Group, Kind, Link, Words
from events.kinds.managers import MANAGERS, PAYEES
from events.kinds.security import SECURITY
from events.kinds.staff import STAFF

__all__ = ["KINDS", "Group", "Kind", "Link", "Words"]

KINDS: Mapping[str, Kind] = {kind.code: kind for kind in (*INVESTORS, *MANAGERS, *PAYEES, *STAFF, *SECURITY)}
"""By code, in the order in which the page of preferences shows them."""
