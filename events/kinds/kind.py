"""What a kind of notification is made of.

Words hold `%(fact)s`, filled by `events.wording` with facts written for the reader. Where a kind reads
differently by what it is about, `words` has a text per *variant*, which is the fact of that name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from django.db.models import TextChoices
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class Group(TextChoices):
    """What kinds stand under on the page of preferences; who sees which is in `events.queries`."""

    REQUESTS = "requests", _("Your requests")
    INVESTMENTS = "investments", _("Your investments")
    MANAGING = "managing", _("Accounts you manage")
    PAYMENTS = "payments", _("Fees you earn")
    STAFF = "staff", _("The broker's work")
    SECURITY = "security", _("Security")


@dataclass(frozen=True, slots=True)
class Words:
    title: Promise
    text: Promise


@dataclass(frozen=True, slots=True)
class Link:
    """The page that explains it. `fact` names the public id in its address; none for a page without one."""

    route: str
    label: Promise
    fact: str = ""


@dataclass(frozen=True, slots=True)
class Kind:
    """`name` is what the preferences call it. A kind that `is_obligatory` is always told both ways."""

    code: str
    group: Group
    name: Promise
    icon: str
    words: Mapping[str, Words]
    link: Link
    in_cabinet: bool = True
    by_email: bool = False
    is_obligatory: bool = False
    tone: str = field(default="info")


def one(title: Promise, text: Promise) -> dict[str, Words]:
    return {"": Words(title, text)}
