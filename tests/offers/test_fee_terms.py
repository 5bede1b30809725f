"""Terms of every fee kind: what is refused by which name, whose the shares are, and what the words say."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from accounts.models import PammAccount, Role, User
from brokers.errors import Refusal
from brokers.models import Broker
from brokers.scope import broker_scope
from fees.calc.schedule import Basis, Mode, Schedule, Tier
from fees.calc.shares import Shares
from offers.drafts import standard_shares
from offers.models import FeeCeiling, Offer, Terms
from offers.queries import current_terms, fee_terms_of
from offers.services import TermsDraft, create_offer, revise_terms
from offers.words import recipients_in_words, terms_by_subject, terms_in_words
from tests.offers.bad_tiers import BAD_TIERS, BadTiers
from tests.offers.drafts import draft, plain, refused_as
from tests.worlds import AliceBobCharlie, person

EVERY_FEE: dict[str, Any] = {
    "management_rate": Decimal("0.02"),
    "entry_tiers": (Tier(None, Decimal("0.03")), Tier(Decimal(5000), Decimal("0.01"))),
    "subscription_amount": Decimal("12.50"),
    "volume_amount_per_lot": Decimal(3),
    "early_exit_rate": Decimal("0.015"),
    "lock_in_days": 30,
}


def _create(account: PammAccount, by: User, terms: TermsDraft, name: str = "Growth") -> Offer:
    return create_offer(
        account=account, name=name, visibility=Offer.Visibility.PUBLIC, approval=Offer.Approval.MANAGER,
        terms=terms, by=by,
    )  # fmt: skip


def _with_tiers(field: str, tiers: tuple[Tier, ...]) -> TermsDraft:
    if field == "schedule":
        return draft(schedule=Schedule(Basis.NET_WORTH, Mode.WHOLE, tiers))
    return draft(entry_tiers=tiers)


@pytest.mark.parametrize("field", ["schedule", "entry_tiers"])
@pytest.mark.parametrize("bad", BAD_TIERS, ids=lambda bad: bad.name)
def test_bad_tiers_are_refused_by_field_and_tier_and_nothing_is_saved(
    account: PammAccount, alice: User, offer: Offer, field: str, bad: BadTiers
) -> None:
    before = Offer.objects.count(), Terms.objects.count()
    terms = _with_tiers(field, bad.tiers)
    for attempt in (
        lambda: _create(account, alice, terms),
        lambda: revise_terms(offer=offer, terms=terms, by=alice),
    ):
        with pytest.raises(Refusal) as refused:
            attempt()
        kind = "performance" if field == "schedule" else "entry"
        assert (refused.value.code, refused.value.field) == (bad.code.format(kind=kind), field)
        assert refused.value.fields.get("tier") == bad.tier
        assert bad.words in str(refused.value)
    assert (Offer.objects.count(), Terms.objects.count()) == before


def test_entry_rates_that_rise_with_the_amount_are_refused(account: PammAccount, alice: User) -> None:
    rising = (Tier(None, Decimal("0.01")), Tier(Decimal(100), Decimal("0.02")))
    with pytest.raises(Refusal) as refused:
        _create(account, alice, draft(entry_tiers=rising))
    assert (refused.value.fields["reason"], refused.value.fields["tier"]) == ("rates_rising", 2)
    assert str(refused.value) == "Tier 2: a larger deposit may not pay a higher rate."


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"management_rate": "0.0500001"}, "management_fee_ceiling_exceeded", "management_rate"),
        ({"management_rate": "-0.01"}, "management_rate_invalid", "management_rate"),
        ({"management_rate": "1.01"}, "management_rate_invalid", "management_rate"),
        ({"management_rate": "NaN"}, "management_rate_invalid", "management_rate"),
        ({"management_rate": "0.0123456789"}, "management_rate_invalid", "management_rate"),
        ({"subscription_amount": "-0.01"}, "amount_negative", "subscription_amount"),
        ({"subscription_amount": "0.001"}, "amount_too_precise", "subscription_amount"),
        ({"subscription_amount": "1e40"}, "amount_too_large", "subscription_amount"),
        ({"subscription_amount": "20.01"}, "subscription_fee_ceiling_exceeded", "subscription_amount"),
        ({"volume_amount_per_lot": "-1"}, "amount_negative", "volume_amount_per_lot"),
        ({"volume_amount_per_lot": "0.005"}, "amount_too_precise", "volume_amount_per_lot"),
        ({"volume_amount_per_lot": "5.01"}, "volume_fee_ceiling_exceeded", "volume_amount_per_lot"),
        ({"early_exit_rate": "0.21", "lock_in_days": 9},
         "early_exit_fee_ceiling_exceeded", "early_exit_rate"),
        ({"early_exit_rate": "-0.1", "lock_in_days": 9}, "early_exit_rate_invalid", "early_exit_rate"),
        ({"broker_share_rate": "1.1"}, "share_rate_invalid", "broker_share_rate"),
        ({"broker_share_rate": "0.0123456789"}, "share_rate_invalid", "broker_share_rate"),
        ({"agent_share_rates": ("-0.1",)}, "share_rate_invalid", "agent_share_rates"),
        ({"agent_share_rates": ("0.01",) * 11}, "too_many_agent_levels", "agent_share_rates"),
        (
            {"broker_share_rate": "0.6", "agent_share_rates": ("0.3", "0.1000001")},
            "shares_exceed_the_fee",
            "broker_share_rate",
        ),
    ],
)  # fmt: skip
def test_fee_that_breaks_a_rule_is_refused_by_its_field_and_nothing_is_saved(
    account: PammAccount, offer: Offer, changes: dict[str, Any], code: str, field: str
) -> None:
    # An administrator's: what nobody may write does not depend on whose the shares are.
    admin = person("admin@example.com", Role.ADMIN)
    FeeCeiling.objects.create(
        currency="USD", currency_digits=2, subscription_amount=Decimal(20), volume_amount_per_lot=Decimal(5)
    )
    before = Offer.objects.count(), Terms.objects.count()
    terms = draft(**{name: _decimals(value) for name, value in changes.items()})
    for attempt in (
        lambda: _create(account, admin, terms),
        lambda: revise_terms(offer=offer, terms=terms, by=admin),
    ):
        with pytest.raises(Refusal) as refused:
            attempt()
        assert (refused.value.code, refused.value.field) == (code, field)
        assert str(refused.value)
    assert (Offer.objects.count(), Terms.objects.count()) == before


def _decimals(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(Decimal(part) for part in value)
    return value if isinstance(value, int) else Decimal(value)


def test_every_fee_is_kept_as_it_was_written(account: PammAccount, alice: User) -> None:
    written = draft(**EVERY_FEE)
    terms = current_terms(_create(account, alice, written))
    assert TermsDraft.of(terms) == written
    fees = fee_terms_of(terms)
    assert fees == written.fee_terms
    assert (fees.management_rate, fees.entry.tiers) == (Decimal("0.02"), EVERY_FEE["entry_tiers"])
    assert (fees.subscription_amount, fees.volume_amount_per_lot) == (Decimal("12.50"), Decimal(3))
    assert fees.early_exit_until_interval_end is False


def test_ceiling_of_one_currency_leaves_the_others_free(account: PammAccount, alice: User) -> None:
    FeeCeiling.objects.create(currency="EUR", currency_digits=2, subscription_amount=Decimal(0))
    FeeCeiling.objects.create(currency="USD", currency_digits=2, volume_amount_per_lot=Decimal(5))
    assert _create(account, alice, draft(subscription_amount=Decimal(900))).pk


def test_share_that_is_not_the_brokers_standard_is_the_administrators_to_write(
    account: PammAccount, alice: User
) -> None:
    Broker.objects.update(fee_share_rate=Decimal("0.2"), agent_share_rates=["0.10", "0.05"])
    standard = {
        "broker_share_rate": Decimal("0.2"),
        "agent_share_rates": (Decimal("0.1"), Decimal("0.05")),
    }
    assert standard_shares() == Shares(*standard.values())  # type: ignore[arg-type]
    for own in ({}, standard | {"broker_share_rate": Decimal(0)}, standard | {"agent_share_rates": ()}):
        with refused_as("shares_are_the_brokers"):
            _create(account, alice, draft(**own))
    assert not Offer.objects.filter(name="Growth").exists()
    offer = _create(account, alice, draft(**standard))
    assert current_terms(offer).agent_share_rates == ["0.1", "0.05"]
    admin = person("admin@example.com", Role.ADMIN)
    assert revise_terms(offer=offer, terms=draft(broker_share_rate=Decimal(1)), by=admin).version == 2


def test_revised_terms_keep_their_shares_or_take_the_standard(offer: Offer, alice: User) -> None:
    Broker.objects.update(fee_share_rate=Decimal("0.25"))
    # The offer was made when the broker took nothing.
    kept = revise_terms(offer=offer, terms=draft(lock_in_days=1), by=alice)
    taken = revise_terms(offer=offer, terms=draft(broker_share_rate=Decimal("0.25")), by=alice)
    assert [kept.broker_share_rate, taken.broker_share_rate] == [0, Decimal("0.25")]
    # What was given up does not come back.
    with refused_as("shares_are_the_brokers"):
        revise_terms(offer=offer, terms=draft(lock_in_days=2), by=alice)


def test_words_say_every_fee_that_is_charged_and_name_the_others_once(offer: Offer) -> None:
    none = _sentences(draft(), offer)
    assert none[2] == (
        "Nothing else is charged: no management fee, no entry fee, no subscription fee, no volume fee, "
        "no early exit fee."
    )
    every = " ".join(_sentences(draft(**EVERY_FEE), offer))
    for words in (
        "The management fee is 2 % per year",
        "depends on its amount: 3 % below 5,000 USD, 1 % from 5,000 USD.",
        "The subscription fee is 12.50 USD for each trading interval",
        "The volume fee is 3 USD for each lot",
        "Withdrawing during the first 30 days costs 1.5 %",
        "The lock-in bars no withdrawal: it is how long the early exit fee applies.",
    ):
        assert words in every
    assert "No fee is charged besides these." in every
    until_interval_end = EVERY_FEE | {"lock_in_days": 0, "early_exit_until": Terms.EarlyExitUntil.INTERVAL}
    words = " ".join(_sentences(draft(**until_interval_end), offer))
    assert "Withdrawing before the trading interval ends costs 1.5 % of what is withdrawn" in words
    assert "There is no lock-in: money can be withdrawn at any rollover." in words
    some = " ".join(_sentences(draft(management_rate=Decimal("0.01")), offer))
    assert "Nothing else is charged: no entry fee, no subscription fee" in some


def test_subjects_of_any_terms_are_the_same_in_one_order(offer: Offer) -> None:
    versions = [draft().version_of(offer, 1), draft(**EVERY_FEE).version_of(offer, 2)]
    first, second = ([subject.title for subject in terms_by_subject(terms)] for terms in versions)
    assert first == second


def test_words_of_who_receives_are_for_the_manager_and_not_in_the_terms(offer: Offer) -> None:
    shared = draft(broker_share_rate=Decimal("0.2"), agent_share_rates=(Decimal("0.1"), Decimal("0.05")))
    words = plain(" ".join(recipients_in_words(shared.version_of(offer, 1))))
    assert "The broker receives 20 % of every fee." in words
    assert "10 % at level 1, 5 % at level 2" in words
    alone = replace(shared, agent_share_rates=(), broker_share_rate=Decimal(0))
    assert recipients_in_words(alone.version_of(offer, 1)) == ["The manager receives every fee as a whole."]
    assert _sentences(shared, offer) == _sentences(alone, offer)


def _sentences(terms: TermsDraft, offer: Offer) -> list[str]:
    return [plain(sentence) for sentence in terms_in_words(terms.version_of(offer, 1))]


def test_ceilings_and_shares_of_another_broker_do_not_count(
    world: AliceBobCharlie, account: PammAccount, alice: User
) -> None:
    with broker_scope(world.beta.pk):
        Broker.objects.update(fee_share_rate=Decimal("0.5"), management_fee_ceiling=Decimal(0))
        FeeCeiling.objects.create(currency="USD", currency_digits=2, subscription_amount=Decimal(0))
    assert _create(account, alice, draft(**EVERY_FEE)).pk
