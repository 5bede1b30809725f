"""Who of the demo sees which page: people and rows found by what they are, not by name."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import cached_property
from uuid import UUID

from django.utils import timezone

from accounts.models import Agent, Manager, OpenPositions, PammAccount, User
from allocation.models import Investment, UnitEntry
from demo.scenario import ALPHA
from events.services import deliver_notifications
from fees.models import Charge
from fees.queries import figures_of
from investing.models import Request, Stop
from investing.services import set_stops
from money.rounding import floor_money
from offers.drafts import TermsDraft
from offers.models import JoinLink, Offer, Terms
from offers.services import create_join_link, revise_terms
from statements.models import FileFormat, StatementFile, StatementKind
from tests.worlds import enrol

INVESTOR, MANAGER, AGENT = "investor", "manager", "agent"
NEWCOMER, SECURED, STAFF, ADMIN = "newcomer", "secured", "staff", "admin"
VISITOR = ""


class People:
    """Rows of the broker in scope, each read once."""

    def user(self, who: str) -> User:
        found: dict[str, User] = {
            INVESTOR: self.investment.owner,
            MANAGER: self.manager.user,
            AGENT: self.agent,
            NEWCOMER: self.newcomer,
            SECURED: self.secured,
            STAFF: User.objects.get(email="dealer@alpha.example"),
            ADMIN: User.objects.get(email="admin@alpha.example"),
        }
        return found[who]

    @cached_property
    def request(self) -> Request:
        """A withdrawal that waits for the next rollover."""
        return Request.objects.select_related("investment__owner").filter(
            state=Request.State.CONFIRMED, kind=Request.Kind.WITHDRAWAL
        )[0]

    @cached_property
    def investment(self) -> Investment:
        found: Investment = Investment.objects.select_related("owner", "terms__offer", "account").get(
            pk=self.request.investment_id
        )
        return found

    @cached_property
    def stop(self) -> Stop:
        """The investor's stop loss."""
        (line,) = figures_of([self.investment]).values()
        amounts = {Stop.Kind.STOP_LOSS: floor_money(line.value / 2, self.account.currency_digits)}
        stops = set_stops(investment=self.investment, amounts=amounts, by=self.investment.owner)
        return next(stop for stop in stops if stop.is_loss)

    @cached_property
    def manager(self) -> Manager:
        """Manages the account of that investment."""
        return Manager.objects.select_related("user").get(pk=self.investment.account.manager_id)

    @cached_property
    def newcomer(self) -> User:
        """Has money and no investment yet."""
        return User.objects.get(last_name=ALPHA.clients[-1].last_name)

    @cached_property
    def secured(self) -> User:
        """Has a second factor."""
        user: User = User.objects.get(last_name=ALPHA.clients[-2].last_name)
        enrol(user)
        return user

    @cached_property
    def agent(self) -> User:
        user: User = Agent.objects.earliest("pk").user
        return user

    @cached_property
    def pending(self) -> Request:
        """A deposit that waits for the manager."""
        return Request.objects.filter(
            state=Request.State.PENDING, account__manager=self.manager, kind=Request.Kind.DEPOSIT
        )[0]

    @property
    def account(self) -> PammAccount:
        account: PammAccount = self.investment.account
        return account

    @cached_property
    def offer(self) -> Offer:
        """The one with most to show: tiers, and the investment's account."""
        offers = Offer.objects.filter(account=self.account, visibility=Offer.Visibility.PUBLIC)
        return offers.order_by("pk")[1]

    @cached_property
    def hidden_offer(self) -> Offer:
        """Of an account that shows nothing of its trades."""
        return self._offer_disclosed(PammAccount.Disclosure.HIDDEN)

    @cached_property
    def delayed_offer(self) -> Offer:
        """Of an account whose trades appear after a while."""
        return self._offer_disclosed(PammAccount.Disclosure.DELAYED)

    @cached_property
    def open_offer(self) -> Offer:
        """Of an account that shows its trades, and what is open in it."""
        hidden = Offer.objects.filter(
            visibility=Offer.Visibility.PUBLIC, account__disclosure=PammAccount.Disclosure.HIDDEN
        )
        offer = hidden.exclude(account=self.account).exclude(account=self.hidden_offer.account).latest("pk")
        account: PammAccount = offer.account
        position = {
            "symbol": "EURUSD",
            "side": "buy",
            "lots": "0.50000000",
            "opened_at": timezone.now().isoformat(),
            "price_open": "1.10234",
            "price": "1.10471",
            "result": "118.50",
        }
        account.disclosure = PammAccount.Disclosure.OPEN
        account.save(update_fields=["disclosure"])
        OpenPositions.objects.create(
            account=account,
            seen_at=timezone.now(),
            equity=account.last_equity,
            currency_digits=account.currency_digits,
            positions=[position, {**position, "symbol": "EURCHF", "side": "sell", "result": "-20.00"}],
        )
        return offer

    def _offer_disclosed(self, disclosure: str) -> Offer:
        return Offer.objects.filter(
            account__disclosure=disclosure, visibility=Offer.Visibility.PUBLIC
        ).earliest("pk")

    @cached_property
    def two_offers(self) -> tuple[UUID, ...]:
        """Of different accounts."""
        others = Offer.objects.filter(visibility=Offer.Visibility.PUBLIC).exclude(account=self.account)
        return self.offer.public_id, others.earliest("pk").public_id

    @cached_property
    def newer_terms(self) -> Terms:
        """Offered to the investor instead of those he joined under."""
        assert self.investment.terms is not None
        return revise_terms(
            offer=self.investment.terms.offer,
            terms=replace(
                TermsDraft.of(self.investment.terms),
                management_rate=self.investment.terms.management_rate * Decimal("0.75"),
                minimum_first=self.investment.terms.minimum_first / 2,
            ),
            by=self.manager.user,
        )

    @cached_property
    def link(self) -> JoinLink:
        return JoinLink.objects.earliest("pk")

    @cached_property
    def own_link(self) -> JoinLink:
        """Of an offer of that manager."""
        return create_join_link(offer=self.offer, by=self.manager.user)

    @cached_property
    def charge(self) -> Charge:
        """A fee that some investor has paid; not the one above, who may have paid none."""
        return Charge.objects.select_related("investment__owner").filter(account=self.account).latest("pk")

    @cached_property
    def movement(self) -> UnitEntry:
        return UnitEntry.objects.filter(investment=self.investment).earliest("pk")

    @cached_property
    def files(self) -> dict[str, StatementFile]:
        """Of the investor, one in each state."""
        today = timezone.now().date()
        return {
            str(state): StatementFile.objects.create(
                requested_by=self.investment.owner,
                subject=self.investment.owner,
                kind=StatementKind.INVESTOR,
                format=FileFormat.PDF,
                first_day=today - timedelta(days=number + 1),
                end_day=today,
                language="en",
                state=state,
                lines=400,
                lines_done=120,
                size=120_000,
                expires_at=timezone.now() + timedelta(days=7),
            )
            for number, state in enumerate(StatementFile.State.values)
        }

    @cached_property
    def told(self) -> int:
        """How many notifications there are: of newer terms, and of what had happened before."""
        assert self.newer_terms
        return deliver_notifications()
