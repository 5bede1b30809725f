"""Newer terms for an investment: its owner accepts them, and may take that back until they begin.

They begin with the first trading interval after the present one, once that is charged under the old terms
(`investing.services.execution`).
"""

from django.db import transaction
from django.utils import timezone

from accounts.models import PammAccount, User
from allocation.models import Investment
from brokers.errors import NotFound
from investing.errors import InvestmentNotActive, NothingNewer, TermsChanged, TermsInEffect
from offers.models import Terms
from offers.queries import current_terms
from outbox.services import record_event


def accept_terms(*, investment: Investment, terms: Terms, by: User) -> Investment:
    """Agree that the investment goes on under `terms` when its trading interval ends. Twice is once.

    Accepting a newer version replaces an acceptance of an older one. Raises `NotFound` for anybody but the
    owner, for own capital and for terms of another offer; `InvestmentNotActive`; `NothingNewer`;
    `TermsChanged` where `terms` are no longer the offer's current version.
    """
    with transaction.atomic():
        locked = _locked(investment, by)
        if locked.terms is None or locked.terms.offer_id != terms.offer_id:
            raise NotFound
        if locked.state != Investment.State.ACTIVE:
            raise InvestmentNotActive
        if locked.accepted_terms_id == terms.pk:
            return locked
        if terms.version <= locked.terms.version:
            raise NothingNewer
        if current_terms(locked.terms.offer).pk != terms.pk:
            raise TermsChanged
        locked.accepted_terms = terms
        locked.terms_accepted_at = timezone.now()
        locked.save(update_fields=["accepted_terms", "terms_accepted_at"])
        _record("terms.accepted", locked, terms)
    return locked


def withdraw_acceptance(*, investment: Investment, terms: Terms, by: User) -> Investment:
    """Take back the acceptance of `terms`: the investment stays under its own. Twice is once.

    Raises `NotFound` for anybody but the owner; `TermsInEffect` once they have begun; `TermsChanged` where
    another version has been accepted since.
    """
    with transaction.atomic():
        locked = _locked(investment, by)
        if locked.terms_id == terms.pk:
            raise TermsInEffect
        if locked.accepted_terms_id is None:
            return locked
        if locked.accepted_terms_id != terms.pk:
            raise TermsChanged
        locked.accepted_terms = None
        locked.terms_accepted_at = None
        locked.save(update_fields=["accepted_terms", "terms_accepted_at"])
        _record("terms.acceptance_withdrawn", locked, terms)
    return locked


def _locked(investment: Investment, by: User) -> Investment:
    """The owner's investment, its account locked first: a rollover writes back what it has read of both."""
    if investment.owner_id != by.pk:
        raise NotFound
    PammAccount.objects.select_for_update().values_list("pk").get(pk=investment.account_id)
    locked: Investment = (
        Investment.objects.select_for_update(of=("self",))
        .select_related("account", "terms__offer")
        .get(pk=investment.pk)
    )
    return locked


def _record(kind: str, investment: Investment, terms: Terms) -> None:
    record_event(
        kind,
        subject=investment.public_id,
        account=str(investment.account.public_id),
        terms=str(terms.public_id),
        version=terms.version,
    )
