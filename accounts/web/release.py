"""The form of a held account's release: whose each difference is, and what that would do."""

import hashlib
import uuid
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from typing import Any

from django import forms
from django.db.models import Q
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget, UnfoldBooleanWidget

from accounts.models import PammAccount
from allocation.models import Investment
from pamm_platform.admin_pages import NoteForm, opened
from pamm_platform.templatetags.figures import NOTHING, money, signed_money, when
from rollover.effects import ReleaseEffect
from rollover.models import Decision
from rollover.services import Choice, Difference, differences_of

KINDS = [
    ("", _("Not decided yet")),
    (Decision.Kind.RESULT.value, _("The investors' result: stays in the pool, changes the price for all")),
    (
        Decision.Kind.DEPOSIT.value,
        _("Deposit of an investment: comes in again from suspense at the next price"),
    ),
    (Decision.Kind.UNDONE.value, _("Undo: moved against suspense, the price never sees it")),
]
NOT_FOR_MONEY_TAKEN_OUT = (Decision.Kind.DEPOSIT.value,)


class ReleaseForm(NoteForm):
    """A note, and for each difference that needs an owner whose it is.

    Whose deposit something is can be named by e-mail, trading login or public id of the investment.
    """

    def __init__(self, *args: Any, account: PammAccount, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.account = account
        self.differences = differences_of(account)
        for difference in self.differences:
            name = _name(difference)
            kinds = [
                kind for kind in KINDS if difference.amount > 0 or kind[0] not in NOT_FOR_MONEY_TAKEN_OUT
            ]
            self.fields[f"kind_{name}"] = forms.ChoiceField(
                choices=kinds,
                required=False,
                label=_described(difference, account),
                widget=UnfoldAdminSelectWidget,
            )
            if difference.amount > 0:
                self.fields[f"investment_{name}"] = forms.CharField(
                    required=False,
                    max_length=120,
                    label=_("Whose deposit"),
                    help_text=_(
                        "Only for a deposit: owner's e-mail, trading login, or id of the investment."
                    ),
                    widget=UnfoldAdminTextInputWidget,
                )
        if account.hold_reason == "remainder_too_large":
            self.fields["sweep"] = forms.BooleanField(
                required=False,
                label=_("Move what stands in the account to the rounding account"),
                widget=UnfoldBooleanWidget,
            )
        self.order_fields([*(name for name in self.fields if name != "note"), "note"])

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        for difference in self.differences:
            name = _name(difference)
            if cleaned.get(f"kind_{name}") == Decision.Kind.DEPOSIT:
                found = self._investments(cleaned.get(f"investment_{name}", ""))
                if len(found) != 1:
                    self.add_error(
                        f"investment_{name}",
                        _("No investment in this account fits that.")
                        if not found
                        else _("Several investments fit that: give the id of one."),
                    )
                else:
                    cleaned[f"investment_{name}"] = found[0]
        return cleaned

    @property
    def choices(self) -> list[Choice]:
        """What has been decided; differences left open hold the account again."""
        made = []
        for difference in self.differences:
            name = _name(difference)
            kind = self.cleaned_data.get(f"kind_{name}")
            if kind:
                whose = self.cleaned_data.get(f"investment_{name}")
                made.append(
                    Choice(
                        difference.ticket,
                        Decision.Kind(kind),
                        whose if kind == Decision.Kind.DEPOSIT else None,
                    )
                )
        return made

    @property
    def sweeps(self) -> bool:
        return bool(self.cleaned_data.get("sweep"))

    def seen(self) -> str:
        """Stands for exactly these choices about these amounts: an effect that was shown for others has to be
        shown again.
        """
        amounts = [(difference.ticket, str(difference.amount)) for difference in self.differences]
        told = [
            (choice.ticket, choice.kind, choice.investment and str(choice.investment.public_id))
            for choice in self.choices
        ]
        return hashlib.sha256(repr((amounts, told, self.sweeps)).encode()).hexdigest()

    def _investments(self, told: str) -> list[Investment]:
        told = told.strip()
        named = Q(owner__email__iexact=told)
        if told.isdigit():
            named |= Q(personal_account__login=int(told))
        with suppress(ValueError):
            named |= Q(public_id=uuid.UUID(told))
        living = (Investment.State.ACTIVE, Investment.State.PENDING)
        mine = Investment.objects.filter(account=self.account, state__in=living).select_related("owner")
        return list(mine.filter(named)[:2]) if told else []


DETAIL_WORDS = {
    "expected": _("Balance that the deals explain"),
    "server": _("The server's balance"),
    "difference": _("Difference"),
    "floating": _("Floating result"),
    "remainder": _("Left in the account"),
    "equity": _("Equity"),
    "amount": _("Amount"),
    "key": _("Key"),
    "login": _("Login"),
    "reason": _("The server says"),
    "changed_deals": _("Deals that changed while being read"),
    "investments": _("Investments that ended"),
    "findings": _("Found by the nightly comparison"),
    "deals": _("Deals"),
}
MONEY_DETAILS = frozenset({"expected", "server", "difference", "floating", "remainder", "equity", "amount"})


def differing(account: PammAccount) -> SafeString | str:
    """What holds an account, figure by figure and deal by deal; a dash where nothing is told."""
    rows = [
        (DETAIL_WORDS.get(name, name), _told(name, content, account))
        for name, content in account.hold_details.items()
        if content not in (None, "", [], {})
    ]
    return (
        format_html(
            '<dl class="back-office-differing">{}</dl>',
            format_html_join("", "<dt>{}</dt><dd>{}</dd>", rows),
        )
        if rows
        else NOTHING
    )


def _told(name: str, content: Any, account: PammAccount) -> SafeString | str:
    if name in MONEY_DETAILS:
        return signed_money(Decimal(content), account)
    if name == "deals":
        return format_html_join("", "<div>{}</div>", ((_deal_line(deal, account),) for deal in content))
    return opened(content)


def _deal_line(deal: Mapping[str, str], account: PammAccount) -> str:
    """One line of what a deal did, when, and by whom."""
    parts = [deal["ticket"], signed_money(Decimal(deal["amount"]), account)]
    if "at" in deal:
        parts.append(when(datetime.fromisoformat(deal["at"])))
    if "dealer" in deal:
        parts.append(_now("dealer %(dealer)s") % {"dealer": deal["dealer"]})
    if deal.get("comment"):
        parts.append(f"“{deal['comment']}”")
    return format_html_join(" · ", "{}", ((part,) for part in parts))


def effect_facts(effect: ReleaseEffect, account: PammAccount) -> Iterable[tuple[Any, Any]]:
    """What the page says before the button does it."""
    yield _("Pool equity"), _change(money(effect.equity_before, account), money(effect.equity_after, account))
    yield _("Price per unit"), _change(effect.price_before.rounded(6), effect.price_after.rounded(6))
    if effect.shared_result:
        yield _("Shared by all investors"), signed_money(effect.shared_result, account)
    if effect.to_suspense:
        yield _("To suspense (minus: from it)"), signed_money(effect.to_suspense, account)
    for deposit in effect.deposits:
        yield (
            _now("Deposit of %(owner)s") % {"owner": deposit.investment.owner.email},
            _now("%(amount)s: about %(units)s units")
            % {
                "amount": money(deposit.amount, account),
                "units": f"{deposit.units:.6f}",
            },
        )
    if effect.undecided:
        yield _("Still open"), _now("%(count)d: the account is held again") % {"count": effect.undecided}
    yield _("When"), _("At its next rollover. What the market does until then comes on top.")


def _change(before: Any, after: Any) -> str:
    return str(after) if before == after else f"{before} → {after}"


def _name(difference: Difference) -> str:
    return "rest" if difference.ticket is None else str(difference.ticket)


def _described(difference: Difference, account: PammAccount) -> str:
    amount = signed_money(difference.amount, account)
    if difference.ticket is None:
        return _now("%(amount)s that no deal explains") % {"amount": amount}
    return _now("Deal %(ticket)s: %(amount)s, dealer %(dealer)s, “%(comment)s”") % {
        "ticket": difference.ticket,
        "amount": amount,
        "dealer": difference.deal.get("dealer", ""),
        "comment": difference.deal.get("comment", ""),
    }
