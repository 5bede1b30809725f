"""Ways to pay less in fees than somebody does who just stays.

What the services refuse; and where they let it pass, that an honest twin with the same money in the same
account, on a real trading server, ends with no less.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from django.db.models import Sum

from accounts.models import PammAccount, PersonalAccount
from accounts.services import introduce_client, make_agent
from allocation.models import Investment, UnitEntry
from brokers.errors import Refusal
from fees.calc.schedule import Tier
from fees.models import Charge, ChargePart
from investing.errors import OppositeRequestOpen, TakenOutEarly
from investing.models import Request
from investing.services import accept_terms, confirm_request
from offers.models import Offer
from offers.services import TermsDraft, revise_terms
from rollover.models import Rollover
from tests.circle.books import assert_books_agree
from tests.circle.world import Calendar, Desk, share_as_standard, terms
from tests.worlds import person

QUARTER = 91
MONTH = 28
EXAMPLE_1 = ((None, "0"), ("0.10", "0.20"), ("0.40", "0.50"))
EXAMPLE_2 = ((None, "0.50"), ("1000", "0.40"), ("5000", "0.30"), ("10000", "0.15"))
YEARLY: dict[str, Any] = {"interval_unit": "days", "interval_count": 4 * QUARTER}
MONTHLY: dict[str, Any] = {"interval_unit": "days", "interval_count": MONTH}
SHARES: dict[str, Any] = {
    "broker_share_rate": Decimal("0.10"),
    "agent_share_rates": (Decimal("0.05"), Decimal("0.025")),
}
TIERED_YEAR = terms(*EXAMPLE_1, basis="yield", **YEARLY)
FLAT_YEAR = terms((None, "0.20"), **YEARLY)


@dataclass
class Pool:
    """Alice's pool with 4,000.00 of her own, and clients who had 50,000.00 each before they came."""

    calendar: Calendar
    desk: Desk
    account: PammAccount

    def offer(self, draft: TermsDraft, name: str = "Offer") -> Offer:
        share_as_standard(self.desk, draft)
        return self.desk.offer(self.account, draft, name=name)

    def client(self, name: str) -> PersonalAccount:
        return self.desk.client(name, "50000")

    def join(self, client: PersonalAccount, offer: Offer, amount: str) -> Investment:
        """Take part from the next rollover on."""
        return self.desk.invest(
            client, Offer.objects.select_related("account__manager__user").get(pk=offer.pk), amount
        )

    def add(self, investment: Investment, amount: str) -> None:
        confirm_request(request=self.desk.add_money(present(investment), amount), by=self.desk.dealer)

    def take(self, investment: Investment, amount: str) -> None:
        self.desk.withdraw(present(investment), amount)

    def leave(self, *investments: Investment) -> None:
        for investment in investments:
            self.desk.close(present(investment))

    def roll(self, *, days: int = 0, hours: int = 0, price: str = "") -> None:
        """A rollover after that time, at the price."""
        self.calendar.let_pass(days=days, hours=hours)
        if price:
            self.desk.bring_price_to(self.account, Decimal(price))
        (rollover,) = self.desk.roll(self.account)
        assert rollover.state == Rollover.State.COMPLETED, (rollover.reason_code, rollover.reason)

    def money(self, client: PersonalAccount) -> Decimal:
        """What the client has outside of the pool."""
        return self.desk.balance(client.login)


@pytest.fixture
def pool(calendar: Calendar, desk: Desk) -> Pool:
    account = desk.pamm_account(desk.client("alice", "10000"), "4000.00")
    return Pool(calendar, desk, account)


@pytest.fixture
def mallory(pool: Pool) -> PersonalAccount:
    """Looks for a way to pay less."""
    return pool.client("mallory")


@pytest.fixture
def honest(pool: Pool) -> PersonalAccount:
    """Brings the same money at the same time, and stays."""
    return pool.client("honest")


def present(investment: Investment) -> Investment:
    found: Investment = Investment.objects.select_related(
        "terms__offer__account__manager__user", "interval", "owner", "account", "personal_account__server"
    ).get(pk=investment.pk)
    return found


def refusal_of(ask: Callable[[], object]) -> str:
    with pytest.raises(Refusal) as caught:
        ask()
    return caught.value.code


def charged(investment: Investment, kind: str | None = None) -> Decimal:
    charges = Charge.objects.filter(investment=investment)
    found = (charges if kind is None else charges.filter(kind=kind)).aggregate(sum=Sum("amount"))["sum"]
    return found or Decimal(0)


def charges(investment: Investment) -> list[tuple[str, Decimal]]:
    return list(Charge.objects.filter(investment=investment).order_by("id").values_list("kind", "amount"))


def test_closing_below_the_tier_each_quarter_is_no_way_back_before_the_interval_ends(
    pool: Pool, mallory: PersonalAccount, honest: PersonalAccount
) -> None:
    """Example 1: who could close and rejoin at +9 % each quarter would never reach a tier that charges."""
    tiered, flat = pool.offer(TIERED_YEAR, "Tiered"), pool.offer(FLAT_YEAR, "Flat")
    beside = pool.join(mallory, flat, "100.00")
    closing, staying = pool.join(mallory, tiered, "1000.00"), pool.join(honest, tiered, "1000.00")
    second = PersonalAccount.objects.create(
        user=mallory.user, server=pool.desk.server, currency="USD", currency_digits=2,
        login=pool.desk.simulator.add_account("personal\\USD", "5000"),
    )  # fmt: skip
    pool.roll()
    pool.leave(closing)
    pool.roll(days=QUARTER, price="1.09")
    assert charged(closing) == 0
    doors = (
        lambda: pool.join(mallory, tiered, "1090.00"),
        lambda: pool.join(mallory, flat, "1090.00"),
        lambda: pool.join(second, tiered, "1090.00"),
        lambda: pool.desk.add_money(present(beside), "1090.00"),
    )
    for price in ("1.1881", "1.295029"):
        assert [refusal_of(door) for door in doors] == [TakenOutEarly.code] * len(doors)
        pool.roll(days=QUARTER, price=price)
    pool.calendar.let_pass(days=QUARTER - 1, hours=23)
    assert [refusal_of(door) for door in doors] == [TakenOutEarly.code] * len(doors)
    pool.roll(hours=1, price="1.41158161")
    assert charged(staying) == Decimal("205.79")
    # From the interval's end on he may come back, at that price.
    again = pool.join(mallory, tiered, "1090.00")
    pool.roll(hours=1)
    pool.leave(again, beside, staying)
    pool.roll(hours=1)
    earned_beside = Decimal("41.16") - charged(beside)
    assert pool.money(mallory) == Decimal("50090.00") + earned_beside
    assert pool.money(honest) == Decimal("50205.79")
    assert_books_agree(pool.desk, pool.account)


@pytest.mark.parametrize("draft", [TIERED_YEAR, FLAT_YEAR], ids=["tiered", "flat"])
def test_withdrawal_and_deposit_of_one_client_are_never_open_together(
    pool: Pool, mallory: PersonalAccount, draft: TermsDraft
) -> None:
    offer, other = pool.offer(draft), pool.offer(FLAT_YEAR, "Other")
    investment = pool.join(mallory, offer, "1000.00")
    pool.roll()
    pool.calendar.let_pass(days=1)
    adding = pool.desk.add_money(present(investment), "999.00")
    assert refusal_of(lambda: pool.take(investment, "999.00")) == OppositeRequestOpen.code
    assert refusal_of(lambda: pool.leave(investment)) == OppositeRequestOpen.code
    Request.objects.filter(pk=adding.pk).update(state=Request.State.CANCELLED)
    pool.take(investment, "900.00")
    assert refusal_of(lambda: pool.desk.add_money(present(investment), "999.00")) == OppositeRequestOpen.code
    assert refusal_of(lambda: pool.join(mallory, other, "999.00")) == OppositeRequestOpen.code


def test_nearly_all_taken_out_comes_back_under_tiers_only_after_the_interval(
    pool: Pool, mallory: PersonalAccount, honest: PersonalAccount
) -> None:
    offer = pool.offer(TIERED_YEAR)
    taken, staying = pool.join(mallory, offer, "10000.00"), pool.join(honest, offer, "10000.00")
    pool.roll()
    pool.roll(days=QUARTER, price="1.09")
    pool.take(taken, "10889.10")
    pool.roll(hours=1)
    assert present(taken).state == Investment.State.ACTIVE
    assert refusal_of(lambda: pool.add(taken, "10889.10")) == TakenOutEarly.code
    pool.roll(days=3 * QUARTER, price="1.30")
    pool.add(taken, "10889.10")
    pool.roll(hours=1)
    pool.leave(taken, staying)
    pool.roll(hours=1)
    assert charged(staying) == Decimal("600.00")
    assert pool.money(mallory) < pool.money(honest)


@pytest.mark.parametrize("last", ["1.05", "1.10", "1.40"])
def test_nearly_all_taken_out_and_back_under_a_flat_fee_saves_nothing(
    pool: Pool, mallory: PersonalAccount, honest: PersonalAccount, last: str
) -> None:
    """A flat fee has no tier to choose: the way out pays for the profit so far, the rest comes later."""
    offer = pool.offer(FLAT_YEAR)
    moved, staying = pool.join(mallory, offer, "10000.00"), pool.join(honest, offer, "10000.00")
    pool.roll()
    pool.roll(hours=1, price="1.10")
    pool.take(moved, "10789.20")
    pool.roll(hours=1)
    assert charged(moved) == Decimal("199.80")
    pool.add(moved, "10789.20")
    pool.roll(hours=1)
    pool.leave(moved, staying)
    pool.roll(hours=1, price=last)
    assert pool.money(mallory) <= pool.money(honest)


def test_late_large_deposit_buys_no_net_worth_tier(
    pool: Pool, mallory: PersonalAccount, honest: PersonalAccount
) -> None:
    """Example 2: an hour before the end 900.00 become 20,900.00, which would pay 15 % and not 50 %."""
    offer = pool.offer(terms(*EXAMPLE_2, basis="net_worth", **MONTHLY))
    grown, staying = pool.join(mallory, offer, "900.00"), pool.join(honest, offer, "900.00")
    pool.roll()
    pool.roll(days=MONTH)
    pool.add(grown, "20000.00")
    pool.roll(days=MONTH - 1, hours=23, price="1.10")
    pool.roll(hours=1)
    assert charges(grown) == charges(staying) == [("performance", Decimal("45.00"))]
    # Taken out again it leaves no cheaper tier behind either.
    pool.take(grown, "20000.00")
    pool.roll(hours=1)
    pool.roll(days=MONTH, price="1.20")
    pool.leave(grown, staying)
    pool.roll(hours=1)
    assert pool.money(mallory) <= pool.money(honest)
    assert_books_agree(pool.desk, pool.account)


def test_cheaper_version_accepted_an_hour_before_the_end_saves_nothing_of_any_kind(
    pool: Pool, mallory: PersonalAccount, honest: PersonalAccount
) -> None:
    dear: dict[str, Any] = {"management_rate": Decimal("0.05"), "subscription_amount": Decimal("12.00")}
    offer = pool.offer(terms((None, "0.50"), volume_amount_per_lot=Decimal("2.00"), **dear, **MONTHLY))
    accepting, staying = pool.join(mallory, offer, "1000.00"), pool.join(honest, offer, "1000.00")
    pool.roll()
    pool.roll(days=MONTH - 1, hours=23, price="1.30")
    newer = revise_terms(
        offer=offer,
        terms=terms((None, "0"), no_performance_fee=True, **MONTHLY),
        by=pool.account.manager.user,
    )
    accept_terms(investment=present(accepting), terms=newer, by=mallory.user)
    pool.roll(hours=1)
    assert charges(accepting) == charges(staying)
    assert {kind for kind, _ in charges(staying)} == {"management", "subscription", "volume", "performance"}
    assert present(accepting).terms_id == newer.pk
    # From then on nothing is charged, and nothing that accrued before comes back.
    before = charged(accepting)
    pool.roll(days=MONTH, price="1.40")
    assert charged(accepting) == before < charged(staying)


def test_profit_taken_out_in_steps_of_thirty_cents_pays_every_fee(
    pool: Pool, mallory: PersonalAccount, honest: PersonalAccount
) -> None:
    """Each step's fees are fractions of a cent: kept, and charged when they are a cent, or at the close."""
    draft = terms(
        (None, "0.20"), management_rate=Decimal("0.05"), subscription_amount=Decimal("9.00"),
        volume_amount_per_lot=Decimal("0.10"), lock_in_days=60, early_exit_rate=Decimal("0.015"), **MONTHLY,
    )  # fmt: skip
    offer = pool.offer(draft)
    stepping, waiting = pool.join(mallory, offer, "1000.00"), pool.join(honest, offer, "1000.00")
    pool.roll()
    pool.roll(days=7, price="1.05")
    for _ in range(4):
        for _ in range(10):
            pool.take(stepping, "0.30")
        pool.roll(hours=1)
    assert charged(stepping, "performance") == 0
    assert present(stepping).performance_carried > Decimal("0.10")
    assert charged(stepping, "early_exit") > 0
    pool.leave(stepping, waiting)
    pool.roll(hours=1)
    for kind in ("performance", "early_exit", "management", "subscription", "volume"):
        assert charged(stepping, kind) == charged(waiting, kind), kind
    assert pool.money(mallory) == pool.money(honest)


def test_many_small_fees_leave_the_broker_and_the_agents_their_whole_share(
    pool: Pool, mallory: PersonalAccount
) -> None:
    """An interval of one rollover makes fees of which no share is a cent."""
    upper = make_agent(user=person("upper@a.example"), by=None)
    lower = make_agent(user=person("lower@a.example"), parent=upper, by=None)
    introduce_client(personal_account=mallory, agent=lower, by=None)
    draft = terms((None, "0.20"), volume_amount_per_lot=Decimal("0.11"), **SHARES)
    investment = pool.join(PersonalAccount.objects.get(pk=mallory.pk), pool.offer(draft), "1000.00")
    pool.roll()
    price = Decimal(1)
    for _ in range(16):
        price += Decimal("0.0002")
        pool.roll(hours=1, price=str(price))
    assert max(amount for _, amount in charges(investment)) < Decimal("0.10")
    for kind in ("performance", "volume"):
        total, parts = charged(investment, kind), ChargePart.objects.filter(charge__kind=kind)
        had = {
            (row["party"], row["level"]): row["sum"]
            for row in parts.values("party", "level").annotate(sum=Sum("amount"))
        }
        shares = {("broker", 0): "0.10", ("agent", 1): "0.05", ("agent", 2): "0.025"}
        for party, rate in shares.items():
            assert had.get(party, Decimal(0)) == (total * Decimal(rate)).quantize(
                Decimal("0.01"), "ROUND_DOWN"
            )
        assert had["broker", 0] > 0
        assert sum(had.values()) == total


def test_deposit_split_in_ten_pays_no_smaller_entry_fee(
    pool: Pool, mallory: PersonalAccount, honest: PersonalAccount
) -> None:
    draft = terms(
        (None, "0.20"),
        entry_tiers=(Tier(None, Decimal("0.015")), Tier(Decimal(1000), Decimal("0.01"))),
        **YEARLY,
    )
    offer = pool.offer(draft)
    split, whole = pool.join(mallory, offer, "10.00"), pool.join(honest, offer, "10.00")
    pool.roll()
    # Below the tier: ten times 0.15045 less what is rounded down is carried on, and comes to the same.
    for _ in range(10):
        pool.add(split, "10.03")
    pool.add(whole, "100.30")
    pool.roll(hours=1)
    assert charged(split, "entry") == charged(whole, "entry") == Decimal("1.65")
    # Only the amount of one deposit reaches a tier.
    for _ in range(10):
        pool.add(split, "100.05")
    pool.add(whole, "1000.50")
    pool.roll(hours=1)
    assert charged(split, "entry") - charged(whole, "entry") == Decimal("5.01")
    assert present(split).units < present(whole).units
    pool.leave(split, whole)
    pool.roll(hours=1)
    assert pool.money(mallory) < pool.money(honest)


def test_leaving_before_the_subscription_falls_due_pays_for_the_time_passed(
    pool: Pool, mallory: PersonalAccount, honest: PersonalAccount
) -> None:
    """An hour less is paid for by an hour out of the pool, and by nothing else."""
    monthly = terms((None, "0"), no_performance_fee=True, subscription_amount=Decimal("10.00"), **MONTHLY)
    offer = pool.offer(monthly)
    hours = MONTH * 24
    leaving, staying = pool.join(mallory, offer, "1000.00"), pool.join(honest, offer, "1000.00")
    pool.roll()
    pool.leave(leaving)
    pool.roll(days=MONTH - 1, hours=23)
    assert charges(leaving) == [("subscription", whole_cents(Fraction(10 * (hours - 1), hours)))]
    again = pool.join(mallory, offer, "1000.00")
    pool.roll(hours=1)
    assert charges(staying) == [("subscription", Decimal("10.00"))]
    pool.roll(days=MONTH - 2)
    pool.leave(again, staying)
    pool.roll(days=1)
    assert charges(again) == charges(staying)[1:] == [
        ("subscription", whole_cents(Fraction(10 * (hours - 24), hours)))
    ]  # fmt: skip
    saved = pool.money(mallory) - pool.money(honest)
    assert saved == charged(staying) - charged(leaving) - charged(again) == Decimal("0.02")


def test_joining_late_in_an_interval_of_the_calendar_pays_for_the_rest_of_it(
    pool: Pool, mallory: PersonalAccount, honest: PersonalAccount
) -> None:
    """Who leaves for the days in between has paid for the others, in two investments as in one."""
    weekly = terms(
        (None, "0"), no_performance_fee=True, subscription_amount=Decimal("70.00"), interval_unit="weeks",
        interval_anchor="calendar",
    )  # fmt: skip
    offer = pool.offer(weekly)
    first, staying = pool.join(mallory, offer, "1000.00"), pool.join(honest, offer, "1000.00")
    pool.roll()
    pool.leave(first)
    pool.roll(days=2)
    second = pool.join(mallory, offer, "1000.00")
    pool.roll(days=1)
    pool.leave(second, staying)
    pool.roll(days=3)
    assert [charged(each) for each in (first, second, staying)] == [Decimal(20), Decimal(30), Decimal(60)]


def test_debts_end_with_the_investment_and_are_worth_no_more_than_its_value_failed_to_pay(
    pool: Pool, mallory: PersonalAccount, honest: PersonalAccount
) -> None:
    """By the rules who closes with debts and joins anew leaves them behind; he leaves no money of his own."""
    draft = terms((None, "0.20"), subscription_amount=Decimal("80.00"), interval_count=1, **SHARES)
    offer = pool.offer(draft)
    indebted, staying = pool.join(mallory, offer, "100.00"), pool.join(honest, offer, "100.00")
    pool.roll()
    pool.roll(hours=1)
    pool.roll(hours=1)
    owed = Decimal("60.00")
    for investment in map(present, (indebted, staying)):
        assert investment.units == 0
        assert [Decimal(debt["amount"]) for debt in investment.debts] == [owed]
    pool.leave(indebted)
    pool.roll(hours=1)
    assert present(indebted).debts == []
    anew = pool.join(mallory, offer, "1000.00")
    pool.add(staying, "1000.00")
    pool.roll(hours=1)
    assert pool.money(mallory) == pool.money(honest)
    # The empty investment that was kept has been charged for two more intervals.
    left_behind = owed + 2 * Decimal("80.00")
    assert sum(Decimal(debt["amount"]) for debt in present(staying).debts) == left_behind
    pool.leave(anew, staying)
    pool.roll(hours=1)
    assert charged(indebted) == Decimal("100.00")
    assert pool.money(mallory) - pool.money(honest) == left_behind


def test_agents_of_an_investment_stay_those_of_its_beginning(pool: Pool, mallory: PersonalAccount) -> None:
    """Nobody earns of fees by being put between an investor and his agent afterwards."""
    first = make_agent(user=person("first@a.example"), by=None)
    late = make_agent(user=person("late@a.example"), by=None)
    introduce_client(personal_account=mallory, agent=first, by=None)
    draft = terms((None, "0.20"), **SHARES)
    offer = pool.offer(draft)
    kept = pool.join(PersonalAccount.objects.get(pk=mallory.pk), offer, "1000.00")
    pool.roll()
    introduce_client(personal_account=mallory, agent=late, by=None)
    pool.add(kept, "1000.00")
    pool.roll(hours=1, price="1.10")
    pool.leave(kept)
    pool.roll(hours=1, price="1.20")
    agents = ChargePart.objects.filter(party=ChargePart.Party.AGENT)
    assert set(agents.values_list("payee", flat=True)) == {first.public_id}
    again = pool.join(PersonalAccount.objects.get(pk=mallory.pk), offer, "1000.00")
    assert present(again).agents == [str(late.public_id)]


def test_leaving_in_pieces_before_the_lock_in_ends_pays_the_whole_early_exit_fee(
    pool: Pool, mallory: PersonalAccount, honest: PersonalAccount
) -> None:
    draft = terms((None, "0.20"), lock_in_days=60, early_exit_rate=Decimal("0.0333"), **YEARLY)
    offer = pool.offer(draft)
    pieces, at_once = pool.join(mallory, offer, "1000.00"), pool.join(honest, offer, "1000.00")
    pool.roll()
    pool.roll(hours=1, price="1.10")
    for amount in ("0.07", "33.33", "500.01", "400.00"):
        pool.take(pieces, amount)
    pool.roll(hours=1)
    pool.leave(pieces, at_once)
    pool.roll(hours=1)
    assert UnitEntry.objects.filter(investment=pieces, kind=UnitEntry.Kind.WITHDRAWAL).count() == 4
    assert charged(pieces, "early_exit") == charged(at_once, "early_exit") == Decimal("35.96")
    assert pool.money(mallory) == pool.money(honest)


def test_closing_and_joining_again_gains_less_than_a_cent_each_time(
    pool: Pool, mallory: PersonalAccount, honest: PersonalAccount
) -> None:
    """By the rules the fraction of a fee is dropped at the close: that is all there is to gain."""
    offer = pool.offer(FLAT_YEAR)
    staying, closes = pool.join(honest, offer, "100.00"), 4
    for number in range(1, closes + 1):
        short = pool.join(mallory, offer, "100.00")
        pool.roll(hours=1)
        pool.leave(short)
        pool.roll(hours=1, price=str(1 + Decimal("0.0004") * number))
        assert charged(short) == 0
    pool.leave(staying)
    pool.roll(hours=1)
    assert charged(staying) == Decimal("0.03")
    gained = pool.money(mallory) - pool.money(honest)
    assert gained < closes * Decimal("0.01")


def whole_cents(amount: Fraction) -> Decimal:
    return Decimal(int(amount * 100)) / 100
