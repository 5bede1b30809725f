"""What the demo shows: two brokers, their accounts of different character, the offers, the people.

Declarations only. Amounts are in the account's currency, rates fractions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from demo.market import BOLD, LOSING, PATIENT, STEADY, VOLATILE, Character
from fees.calc.schedule import Basis, Mode, Schedule, Tier
from fees.calc.shares import Shares
from offers.models import Offer, Terms

# The demo listens on this machine only; its passwords are no secret and stand in the table it prints.
PASSWORD = "pamm-demo-2026"  # noqa: S105
TRADING_PASSWORD = "Trade-2026!"  # noqa: S105

SERVER_TIME_ZONE = "Europe/Athens"
ROBOT_MANAGER_LOGIN = 1001
MANAGER_LOGINS = (1000, ROBOT_MANAGER_LOGIN, 1002)
CURRENCY_DIGITS = {"USD": 2, "EUR": 2, "JPY": 0}

EXAMPLE_1 = Schedule(
    Basis.YIELD,
    Mode.WHOLE,
    (
        Tier(None, Decimal("0.00")),
        Tier(Decimal("0.10"), Decimal("0.20")),
        Tier(Decimal("0.40"), Decimal("0.50")),
    ),
)
EXAMPLE_2 = Schedule(
    Basis.NET_WORTH,
    Mode.WHOLE,
    (
        Tier(None, Decimal("0.50")),
        Tier(Decimal(1_000), Decimal("0.40")),
        Tier(Decimal(5_000), Decimal("0.30")),
        Tier(Decimal(10_000), Decimal("0.15")),
    ),
)
MARGINAL = Schedule(
    Basis.YIELD,
    Mode.MARGINAL,
    (
        Tier(None, Decimal("0.10")),
        Tier(Decimal("0.05"), Decimal("0.20")),
        Tier(Decimal("0.15"), Decimal("0.30")),
    ),
)
ENTRY_TIERS = (
    Tier(None, Decimal("0.03")),
    Tier(Decimal(2_000), Decimal("0.02")),
    Tier(Decimal(10_000), Decimal("0.01")),
)


@dataclass(frozen=True, slots=True)
class OfferPlan:
    """An offer and its first terms, shared as the broker does. `weight`: how often investors choose it."""

    name: str
    schedule: Schedule
    minimum: Decimal
    description: str = ""
    visibility: Offer.Visibility = Offer.Visibility.PUBLIC
    approval: Offer.Approval = Offer.Approval.MANAGER
    interval_unit: Terms.IntervalUnit = Terms.IntervalUnit.MONTHS
    interval_count: int = 1
    interval_anchor: Terms.IntervalAnchor = Terms.IntervalAnchor.CALENDAR
    lock_in_days: int = 0
    early_exit_rate: Decimal = Decimal(0)
    management_rate: Decimal = Decimal(0)
    entry_tiers: tuple[Tier, ...] = ()
    subscription_amount: Decimal = Decimal(0)
    volume_amount_per_lot: Decimal = Decimal(0)
    weight: int = 1

    @property
    def may_be_left(self) -> bool:
        """Whether somebody locked in may ask for money: only where that has a price."""
        return not self.lock_in_days or bool(self.early_exit_rate)


@dataclass(frozen=True, slots=True)
class AccountPlan:
    """A PAMM account. `manager` is an index into the broker's managers, `symbols` what it trades."""

    name: str
    description: str
    manager: int
    currency: str
    character: Character
    age_days: int
    own_capital: Decimal
    offers: tuple[OfferPlan, ...]
    symbols: tuple[str, ...]
    disclosure: str = "hidden"


@dataclass(frozen=True, slots=True)
class Person:
    first_name: str
    last_name: str


@dataclass(frozen=True, slots=True)
class ManagerPlan:
    person: Person
    display_name: str
    biography: str


@dataclass(frozen=True, slots=True)
class AgentPlan:
    """An introducing broker, with personal accounts in `currencies`: fees in any other wait for one.

    `clients` it introduced are indexes into the broker's clients, `above` into the broker's agents: who
    introduced this one, named earlier.
    """

    person: Person
    clients: range
    currencies: tuple[str, ...]
    above: int | None = None


@dataclass(frozen=True, slots=True)
class CeilingPlan:
    currency: str
    subscription_amount: Decimal
    volume_amount_per_lot: Decimal


@dataclass(frozen=True, slots=True)
class BrokerPlan:
    """`logins_from`: its trading logins are counted from there; one server holds both brokers'.

    `shares`: the broker's and its agents' part of every fee.
    """

    slug: str
    name: str
    colour: str
    time_zone: str
    port_variable: str
    manager_login: int
    logins_from: int
    managers: tuple[ManagerPlan, ...]
    clients: tuple[Person, ...]
    agents: tuple[AgentPlan, ...]
    shares: Shares
    ceilings: tuple[CeilingPlan, ...]
    staff: Mapping[str, Person]
    accounts: tuple[AccountPlan, ...]
    email_footer: str = ""


def flat(percent: int) -> Schedule:
    return Schedule.flat(Decimal(percent) / 100)


def people(names: str) -> tuple[Person, ...]:
    """`First Last` per line."""
    return tuple(Person(*line.strip().split(" ", 1)) for line in names.strip().splitlines())


def manager(name: str, display_name: str, biography: str) -> ManagerPlan:
    return ManagerPlan(people(name)[0], display_name, biography)


CEILINGS = (
    CeilingPlan("USD", Decimal(50), Decimal(10)),
    CeilingPlan("EUR", Decimal(50), Decimal(10)),
    CeilingPlan("JPY", Decimal(7_500), Decimal(1_500)),
)

ALPHA = BrokerPlan(
    slug="alpha",
    name="Alpha Markets",
    colour="#1f5fbf",
    email_footer="Alpha Markets Ltd · 1 Example Street, London · of the demo, regulated by nobody",
    time_zone="Europe/London",
    port_variable="DEMO_ALPHA_PORT",
    manager_login=1000,
    logins_from=100_000,
    managers=(
        manager(
            "Ingrid Solberg", "Fjord Currency",
            "Carry and mean reversion in the major currencies since 2014. Small positions, no martingale.",
        ),
        manager(
            "Mateus Oliveira", "Oliveira Momentum",
            "Trades breakouts on several horizons. Expect long quiet weeks, then fast ones.",
        ),
        manager(
            "Keiko Tanaka", "Tokyo Session",
            "Only the hours between Tokyo's opening and London's, only the yen.",
        ),
        manager(
            "Luca Moretti", "Moretti Macro",
            "Discretionary views on European rates. A difficult year, told openly.",
        ),
    ),
    clients=people(
        """
        Amara Okafor
        Björn Lindqvist
        Camille Laurent
        Daniel Kowalski
        Elif Yılmaz
        Farid Haddad
        Grace Mwangi
        Hugo Fernández
        Isabella Rossi
        Jan Novák
        Kavya Iyer
        Liam O'Connor
        Mei Chen
        Noah Weber
        Olga Petrova
        Pedro Almeida
        Quynh Nguyen
        Rania Mansour
        Samuel Adeyemi
        Tuuli Virtanen
        Umar Farooq
        Valentina Popescu
        William Carter
        Xin Zhao
        Yara Silva
        """
    ),
    agents=(
        # Without an account in yen: its part of fees in yen waits in transit until it has one.
        AgentPlan(Person("Zoltan", "Horvath"), range(4), ("USD", "EUR")),
        AgentPlan(Person("Nora", "Keller"), range(4, 12), ("USD", "EUR", "JPY"), above=0),
    ),
    shares=Shares(Decimal("0.10"), (Decimal("0.15"), Decimal("0.05"))),
    ceilings=CEILINGS,
    staff={
        "admin": Person("Ada", "Marsh"),
        "dealer": Person("Dexter", "Quinn"),
        "auditor": Person("Audrey", "Blum"),
    },
    accounts=(
        AccountPlan(
            "Fjord Steady", "Low risk in EUR, GBP and CHF against the dollar. Aims at one percent a month.",
            0, "USD", STEADY, 365, Decimal(25_000),
            (
                OfferPlan(
                    "Standard", flat(20), Decimal(500), "A fifth of new profit, and a small yearly fee.",
                    management_rate=Decimal("0.02"), weight=3,
                ),
                OfferPlan(
                    "Performance tiers", EXAMPLE_1, Decimal(1_000),
                    "Nothing below 10 % in the interval, 20 % from there, 50 % from 40 %.",
                    approval=Offer.Approval.AUTOMATIC, weight=2,
                ),
            ),
            ("EURUSD", "GBPUSD", "USDCHF"), disclosure="delayed",
        ),
        AccountPlan(
            "Momentum Global", "Trend following with wide stops. Large gains and large drawdowns.",
            1, "USD", VOLATILE, 365, Decimal(15_000),
            (
                OfferPlan(
                    "By net worth", EXAMPLE_2, Decimal(500),
                    "The more you keep invested, the smaller the share: 50 % down to 15 %.", weight=3,
                ),
                OfferPlan(
                    "Quarterly", flat(15), Decimal(2_500),
                    "Less of the profit; a subscription and a price per lot instead.",
                    interval_count=3, subscription_amount=Decimal(45), volume_amount_per_lot=Decimal("1.50"),
                    weight=1,
                ),
            ),
            ("GBPUSD", "AUDUSD", "XAUUSD"),
        ),
        AccountPlan(
            "Euro Rates", "Views on European rates, held for days. Below its high-water marks at present.",
            3, "EUR", LOSING, 365, Decimal(20_000),
            (OfferPlan("Classic", flat(30), Decimal(1_000), management_rate=Decimal("0.01"), weight=2),),
            ("EURUSD", "EURJPY"),
        ),
        AccountPlan(
            "Tokyo Hours", "Yen pairs in the Asian session. Every position closed before London opens.",
            2, "JPY", PATIENT, 300, Decimal(2_000_000),
            (
                OfferPlan(
                    "Yen tiers", MARGINAL, Decimal(100_000), "Tiers without cliffs, and 1 % a year.",
                    management_rate=Decimal("0.01"), weight=2,
                ),
            ),
            ("USDJPY", "EURJPY"),
        ),
        AccountPlan(
            "Young Breakout", "The momentum rules on shorter horizons, for two months so far.",
            1, "USD", BOLD, 60, Decimal(5_000),
            (
                OfferPlan(
                    "Friends and family", flat(10), Decimal(250), "Not listed: by invitation.",
                    visibility=Offer.Visibility.LINK, approval=Offer.Approval.AUTOMATIC, weight=2,
                ),
                OfferPlan(
                    "Early birds", flat(15), Decimal(500),
                    "Up to 3 % to join, less for more; 2 % to leave within 90 days.",
                    interval_unit=Terms.IntervalUnit.WEEKS, interval_count=2, lock_in_days=90,
                    early_exit_rate=Decimal("0.02"), entry_tiers=ENTRY_TIERS, weight=2,
                ),
            ),
            ("EURUSD", "NZDUSD"),
        ),
    ),
)  # fmt: skip

BETA = BrokerPlan(
    slug="beta",
    name="Beta Capital Brokers",
    colour="#0f766e",
    email_footer="Beta Capital Brokers Pte · 2 Example Quay, Singapore · of the demo, regulated by nobody",
    time_zone="Asia/Singapore",
    port_variable="DEMO_BETA_PORT",
    manager_login=1002,
    logins_from=200_000,
    managers=(
        manager("Arjun Mehta", "Mehta Systematic", "Forty small systems, none of which may hurt alone."),
        manager("Sofia Lindgren", "Northern Swing", "Swing trading on daily charts, a few trades a week."),
        manager("Thabo Nkosi", "Nkosi Metals", "Gold and the currencies that follow it."),
    ),
    clients=people(
        """
        Aisha Rahman
        Benjamin Clarke
        Chiara Conti
        Dmitri Volkov
        Emma de Vries
        Fatima Zahra
        Gabriel Moreau
        Hana Kim
        Ivan Horak
        Julia Schneider
        Kofi Mensah
        Lucia Ortega
        Mikkel Hansen
        Nadia Rahimi
        Oscar Nilsson
        Priya Sharma
        Rafael Costa
        Siti Nurhaliza
        Tomáš Dvořák
        Ursula Meier
        Victor Ionescu
        Wei Ling Tan
        Yusuf Demir
        Zanele Dlamini
        """
    ),
    agents=(
        AgentPlan(Person("Paolo", "Ferri"), range(3), ("USD", "EUR", "JPY")),
        AgentPlan(Person("Linh", "Pham"), range(3, 8), ("USD", "EUR", "JPY"), above=0),
        AgentPlan(Person("Marta", "Nowak"), range(8, 11), ("USD", "EUR", "JPY"), above=0),
    ),
    shares=Shares(Decimal("0.20"), (Decimal("0.10"), Decimal("0.05"))),
    ceilings=CEILINGS,
    staff={
        "admin": Person("Bea", "Holm"),
        "dealer": Person("Boris", "Lang"),
        "auditor": Person("Belinda", "Oduya"),
    },
    accounts=(
        AccountPlan(
            "Forty Systems", "A portfolio of small systems over all major pairs.",
            0, "USD", STEADY, 365, Decimal(40_000),
            (
                OfferPlan(
                    "Monthly 20", flat(20), Decimal(1_000), "A fifth of the profit and 9.90 a month.",
                    subscription_amount=Decimal("9.90"), weight=3,
                ),
                OfferPlan(
                    "By net worth", EXAMPLE_2, Decimal(500), approval=Offer.Approval.AUTOMATIC,
                    management_rate=Decimal("0.005"), weight=2,
                ),
            ),
            ("EURUSD", "USDCAD", "AUDUSD"),
        ),
        AccountPlan(
            "Nordic Swing", "Daily charts, positions for several days, in euro.",
            1, "EUR", VOLATILE, 365, Decimal(12_000),
            (OfferPlan("Performance tiers", EXAMPLE_1, Decimal(500), weight=3),),
            ("EURUSD", "GBPUSD"), disclosure="open",
        ),
        AccountPlan(
            "Gold and Yen", "Gold by day, yen by night. In a drawdown at present.",
            2, "JPY", LOSING, 250, Decimal(1_500_000),
            (
                OfferPlan(
                    "Yen 25", flat(25), Decimal(50_000), management_rate=Decimal("0.015"),
                    volume_amount_per_lot=Decimal(50), weight=2,
                ),
            ),
            ("XAUUSD", "USDJPY"),
        ),
        AccountPlan(
            "Metals Sprint", "Short trades in gold, weekly accounts. Started six weeks ago.",
            2, "USD", BOLD, 42, Decimal(4_000),
            (
                OfferPlan(
                    "Weekly", flat(20), Decimal(200), interval_unit=Terms.IntervalUnit.WEEKS,
                    interval_anchor=Terms.IntervalAnchor.OWN, volume_amount_per_lot=Decimal("1.50"), weight=2,
                ),
            ),
            ("XAUUSD",),
        ),
    ),
)  # fmt: skip

BROKERS = (ALPHA, BETA)
