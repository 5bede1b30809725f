"""An event of each kind that somebody is told of, in the world of Alice (manages) and Bob (invests)."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.utils import timezone

from accounts.models import Agent, Role, User
from allocation.models import Investment, PricePoint
from fees.models import Charge
from investing.models import Request
from offers.models import Offer, Terms
from rollover.models import Finding
from tests.events.conftest import happened
from tests.worlds import AliceBobCharlie, person
from transfers.models import Transfer

Told = set[tuple[str, str]]
"""Who by e-mail address, and the kind."""


@dataclass(frozen=True)
class Case:
    """`make` lets it happen; `told` is who hears of it, and how."""

    name: str
    make: Callable[[AliceBobCharlie], object]
    told: Told
    says: str
    leads_to: str = field(default="")


BOB, ALICE, DEALER, AGENT = "bob@example.com", "alice@example.com", "dealer@example.com", "agent@example.com"


def request_of_bob(world: AliceBobCharlie, **fields: object) -> Request:
    values: dict[str, object] = {
        "investment": world.pool.investment,
        "account": world.pool.account,
        "kind": Request.Kind.DEPOSIT,
        "amount": Decimal("1250.50"),
        "currency": "USD",
        "currency_digits": 2,
        "idempotency_key": f"key-{Request.objects.count()}",
        "created_by": world.bob,
    }
    made: Request = Request.objects.create(**values | fields)
    return made


def dealer() -> User:
    found = User.objects.filter(email=DEALER).first()
    return found or person(DEALER, Role.DEALER)


def _request(event: str, **payload: Any) -> Callable[[AliceBobCharlie], object]:
    def make(world: AliceBobCharlie) -> object:
        asked = {name: value for name, value in payload.items() if name in ("kind", "amount")}
        told = {name: value for name, value in payload.items() if name not in asked}
        return happened(event, request_of_bob(world, **asked).public_id, **told)

    return make


def _executed(kind: str, amount: str, fee: str = "0") -> Callable[[AliceBobCharlie], object]:
    def make(world: AliceBobCharlie) -> object:
        asked = None if kind == Request.Kind.CLOSE else Decimal(amount)
        request = request_of_bob(world, kind=kind, amount=asked)
        return happened(
            "request.executed", request.public_id, kind=kind, amount=amount, fee=fee, currency="USD"
        )

    return make


def _pending(approval: str) -> Callable[[AliceBobCharlie], object]:
    def make(world: AliceBobCharlie) -> object:
        dealer()
        Offer.objects.filter(pk=world.pool.offer.pk).update(approval=approval)
        return happened("request.created", request_of_bob(world).public_id, state="pending")

    return make


def paid(purpose: str, **more: Any) -> Callable[[AliceBobCharlie], object]:
    def make(world: AliceBobCharlie) -> object:
        is_deposit = purpose == Transfer.Purpose.DEPOSIT
        request = request_of_bob(world, kind="deposit" if is_deposit else "withdrawal")
        payee = None
        if purpose == Transfer.Purpose.FEE:
            payee = _agent().public_id if more.get("to_agent") else world.alice_manager.public_id
        return happened(
            "transfer.completed",
            uuid.uuid4(),
            state=more.get("state", "completed"),
            purpose=purpose,
            serves=str(request.public_id),
            pool=str(world.pool.account.public_id),
            payee=str(payee) if payee else None,
            amount="80.25",
            currency="USD",
        )

    return make


def _agent() -> Agent:
    made: Agent = Agent.objects.create(user=person(AGENT, Role.AGENT))
    return made


def next_point(world: AliceBobCharlie) -> PricePoint:
    """A rollover of Alice's account, now."""
    point: PricePoint = PricePoint.objects.get(account=world.pool.account)
    point.pk, point._state.adding = None, True
    point.sequence, point.flow_sequence, point.priced_at = 2, 2, timezone.now()
    point.save()
    return point


def charge(world: AliceBobCharlie, point: PricePoint, investment: Investment, amount: str) -> Charge:
    made: Charge = Charge.objects.create(
        account=world.pool.account,
        investment=investment,
        price_point=point,
        kind=Charge.Kind.PERFORMANCE,
        occasion=Charge.Occasion.INTERVAL_END,
        amount=Decimal(amount),
        currency="USD",
        currency_digits=2,
        profit=Decimal(100),
        mark_before=Decimal(1000),
        mark_after=Decimal(1100),
        carried_before=0,
        carried_after=0,
        explanation={},
        charged_at=point.priced_at,
    )
    return made


def _crystallised(world: AliceBobCharlie) -> object:
    charge(world, next_point(world), world.pool.investment, "20.00")
    charges = {"sequence": 2, "charges": 1, "amount": "20.00", "currency": "USD"}
    interval = world.pool.investment.interval
    assert interval is not None
    happened("fees.crystallised", world.pool.account.public_id, **charges)
    return happened("intervals.ended", world.pool.account.public_id, sequence=2, intervals=[interval.pk])


def _without_a_fee(world: AliceBobCharlie) -> object:
    next_point(world)
    interval = world.pool.investment.interval
    assert interval is not None
    return happened("intervals.ended", world.pool.account.public_id, sequence=2, intervals=[interval.pk])


def _fee(world: AliceBobCharlie) -> object:
    charged = {"kind": "early_exit", "amount": "12.34", "currency": "USD", "occasion": "withdrawal"}
    return happened("fee.charged", world.pool.investment.public_id, **charged)


def _new_terms(world: AliceBobCharlie) -> object:
    terms: Terms = Terms.objects.get(pk=world.pool.terms.pk)
    terms.pk, terms._state.adding, terms.version, terms.public_id = None, True, 2, uuid.uuid4()
    terms.save()
    return happened(
        "terms.changed", world.pool.offer.public_id, account=str(world.pool.account.public_id), version=2
    )


def _of_account(event: str, **payload: Any) -> Callable[[AliceBobCharlie], object]:
    def make(world: AliceBobCharlie) -> object:
        dealer()
        ended = {"account.closed": "account", "account.wiped_out": "wiped_out"}.get(event)
        if ended:
            Investment.objects.filter(pk=world.pool.investment.pk).update(
                state="closed", end_reason=ended, closed_at=timezone.now() - timedelta(seconds=1)
            )
        return happened(event, world.pool.account.public_id, **payload)

    return make


def _cancelled_by_bob(world: AliceBobCharlie) -> object:
    by = str(world.bob.public_id)
    return happened("request.cancelled", request_of_bob(world).public_id, by=by)


def _closing_by_alice(world: AliceBobCharlie) -> object:
    by = str(world.alice.public_id)
    return happened("account.closing", world.pool.account.public_id, by=by, note="enough")


def _of_server(event: str) -> Callable[[AliceBobCharlie], object]:
    def make(world: AliceBobCharlie) -> object:
        dealer()
        server = world.pool.account.server
        return happened(event, server.public_id, name=server.name, error="no answer")

    return make


def _finding(world: AliceBobCharlie) -> object:
    dealer()
    row: Finding = Finding.objects.create(
        kind=Finding.Kind.values[0], server=world.pool.account.server, login=9000, ticket=1, key="",
        found_at=timezone.now(), seen_at=timezone.now(),
    )  # fmt: skip
    return happened("finding.opened", row.public_id, kind=row.kind, login=row.login, ticket=row.ticket)


def _of_bob(event: str, **payload: Any) -> Callable[[AliceBobCharlie], object]:
    return lambda world: happened(event, world.bob.public_id, **payload)


def _new_device(world: AliceBobCharlie) -> object:
    for device in ("Firefox on Linux", "Firefox on Linux", "Safari on iPhone"):
        happened("person.signed_in", world.bob.public_id, device=device, ip="192.0.2.7")
    return None


def _of_investment(event: str, **payload: Any) -> Callable[[AliceBobCharlie], object]:
    return lambda world: happened(event, world.pool.investment.public_id, **payload)


_HELD_BY = {"reason": "foreign_operation", "details": {}}
_DEVICE = {"device": "Firefox on Linux", "ip": "192.0.2.7"}
INVESTMENT, REQUEST, ADMIN = "/investments/", "/requests/", "/admin/"

CASES = [
    Case("confirmed", _request("request.confirmed", by="somebody"), {(BOB, "request_confirmed")},
         "Your deposit of 1,250.50 USD into “Pool 9000” was approved", REQUEST),
    Case("confirmed by itself", _request("request.confirmed", by=None), set(), ""),
    Case("deposit executed", _executed("deposit", "1250.50"), {(BOB, "request_executed")},
         "1,250.50 USD is invested", REQUEST),
    Case("withdrawal executed", _executed("withdrawal", "99.01", "0.99"), {(BOB, "request_executed")},
         "99.01 USD of your investment", REQUEST),
    Case("close executed", _executed("close", "1080.00", "20"), {(BOB, "request_executed")},
         "is closed. 1,080.00 USD is on its way", REQUEST),
    Case("failed", _request("request.failed", reason="personal_balance_too_low", note=""),
         {(BOB, "request_failed")}, "not enough free money", REQUEST),
    Case("failed with a note", _request("request.failed", reason="other", note="As it said."),
         {(BOB, "request_failed")}, "As it said.", REQUEST),
    Case("close failed",
         _request("request.failed", kind="close", amount=None, reason="own_capital_would_break"),
         {(BOB, "request_failed")}, "could not be closed. The manager's own capital", REQUEST),
    Case("rejected", _request("request.rejected", note="Full for now.", by="somebody"),
         {(BOB, "request_rejected")}, "was declined: Full for now.", REQUEST),
    Case("expired", _request("request.expired"), {(BOB, "request_expired")}, "Nobody approved", REQUEST),
    Case("cancelled by the account's end", _request("request.cancelled", reason="account_closing"),
         {(BOB, "request_cancelled")}, "The account is being closed.", REQUEST),
    Case("cancelled by himself", _cancelled_by_bob, set(), ""),
    Case("to approve by the manager", _pending("manager"), {(ALICE, "request_to_approve")},
         "asks to put 1,250.50 USD", "/manage/requests/"),
    Case("to approve by the broker", _pending("broker"), {(DEALER, "request_to_decide")},
         "waits for the broker's decision", ADMIN),
    Case("payout arrived", paid("withdrawal"), {(BOB, "payout_arrived")},
         "80.25 USD from “Pool 9000” arrived in your trading account 5001", REQUEST),
    Case("fee paid to the manager", paid("fee"), {(ALICE, "fee_paid")}, "80.25 USD of fees", "/accounts/"),
    Case("fee paid to an agent", paid("fee", to_agent=True), {(AGENT, "fee_paid")},
         "80.25 USD arrived", "/accounts/"),
    Case("fee", _fee, {(BOB, "fee_charged")}, "12.34 USD was charged for leaving", INVESTMENT),
    Case("interval with a fee", _crystallised, {(BOB, "interval_ended")}, "Fees of 20.00 USD", INVESTMENT),
    Case("interval without", _without_a_fee, {(BOB, "interval_ended")}, "no fee was due", INVESTMENT),
    Case("new terms", _new_terms, {(BOB, "terms_offered")}, "has new terms, version 2", INVESTMENT),
    Case("terms began", _of_investment("terms.took_effect", version=2), {(BOB, "terms_began")},
         "Version 2 of the terms", INVESTMENT),
    Case("stop loss", _of_investment("investment.stop_reached", stop="stop_loss"), {(BOB, "stop_reached")},
         "reached its stop loss", INVESTMENT),
    Case("take profit", _of_investment("investment.stop_reached", stop="take_profit"),
         {(BOB, "stop_reached")}, "reached its take profit", INVESTMENT),
    Case("suspended", _of_account("account.suspended"),
         {(BOB, "account_suspended"), (ALICE, "managed_account_changed")}, "suspended", ""),
    Case("resumed", _of_account("account.resumed"),
         {(BOB, "account_resumed"), (ALICE, "managed_account_changed")}, "no longer suspended", ""),
    Case("closing", _of_account("account.closing", by="somebody", note="x"),
         {(BOB, "account_closing"), (ALICE, "managed_account_changed")}, "clos", ""),
    Case("closing by its manager", _closing_by_alice, {(BOB, "account_closing")},
         "paid at the next rollovers", INVESTMENT),
    Case("closed", _of_account("account.closed"),
         {(BOB, "account_closed"), (ALICE, "managed_account_changed")}, "Everybody has been paid", ""),
    Case("wiped out", _of_account("account.wiped_out", investments=1, series=1),
         {(BOB, "account_wiped_out"), (ALICE, "managed_account_changed")}, "has lost all of its money", ""),
    Case("held", _of_account("account.held", **_HELD_BY),
         {(ALICE, "managed_account_held"), (DEALER, "account_held")}, "Somebody moved money", ""),
    Case("released", _of_account("account.released", by="x"), {(ALICE, "managed_account_released")},
         "no longer held", "/manage/accounts/"),
    Case("conflict", _of_account("transfer.conflict", login=1), {(DEALER, "transfer_in_conflict")},
         "otherwise than sent", ADMIN),
    Case("server failing", _of_server("server.failing"), {(DEALER, "server_failing")},
         "left alone for a while: no answer", ADMIN),
    Case("server back", _of_server("server.returned"), {(DEALER, "server_failing")}, "answers again", ADMIN),
    Case("finding", _finding, {(DEALER, "finding_opened")}, "on login 9000", ADMIN),
    Case("statement", _of_bob("statement.ready", file=str(uuid.uuid4())), {(BOB, "statement_ready")},
         "ready to be downloaded", "/statements/files/"),
    Case("statement not made", _of_bob("statement.failed", file=str(uuid.uuid4())),
         {(BOB, "statement_ready")}, "could not be made", "/statements/files/"),
    Case("new device", _new_device, {(BOB, "signed_in")}, "Safari on iPhone", "/accounts/2fa/"),
    Case("password", _of_bob("security.password_changed", **_DEVICE), {(BOB, "password_changed")},
         "changed from Firefox on Linux", "/accounts/2fa/"),
    Case("address", _of_bob("security.email_changed", address="old@example.com", **_DEVICE),
         {(BOB, "email_changed")}, "e-mail address of your account", "/accounts/2fa/"),
    Case("factor added", _of_bob("security.totp_activated", **_DEVICE), {(BOB, "second_factor_added")},
         "was added", "/accounts/2fa/"),
    Case("factor removed", _of_bob("security.webauthn_removed", **_DEVICE),
         {(BOB, "second_factor_removed")}, "was removed", "/accounts/2fa/"),
    Case("codes", _of_bob("security.recovery_codes_generated", **_DEVICE), {(BOB, "recovery_codes_made")},
         "Earlier ones are void", "/accounts/2fa/"),
]  # fmt: skip
