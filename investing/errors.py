"""Refusals of requests and of opening accounts."""

from django.utils.translation import gettext_lazy as _

from brokers.errors import Refusal


class AmountNotPositive(Refusal):
    code = "amount_not_positive"
    message = _("Enter an amount above zero.")


class AmountTooPrecise(Refusal):
    code = "amount_too_precise"
    message = _("{currency} has {digits} decimals: the amount has more.")


class AmountTooLarge(Refusal):
    code = "amount_too_large"
    message = _("At most {largest} {currency} can be moved at once.")


class AmountBelowMinimum(Refusal):
    code = "amount_below_minimum"
    message = _("The minimum is {minimum} {currency}.")


class AmountNotInSteps(Refusal):
    code = "amount_not_in_steps"
    message = _("The amount must be a multiple of {step} {currency}.")


class OverPersonalBalance(Refusal):
    code = "over_personal_balance"
    message = _("Your personal account {login} has {available} {currency} free.")


class OverCapacity(Refusal):
    code = "over_capacity"
    message = _("The offer takes no more money: {left} {currency} are left of its capacity.")


class NoPlaceLeft(Refusal):
    code = "no_place_left"
    message = _("The offer takes no more investors.")


class CurrencyDiffers(Refusal):
    code = "currency_differs"
    message = _("The personal account is in {personal}, the PAMM account in {pamm}: they must be the same.")


class OfferNotOpen(Refusal):
    code = "offer_not_open"
    status = 409
    message = _("The offer takes no investments now.")


class AccountNotActive(Refusal):
    code = "account_not_active"
    status = 409
    message = _("The PAMM account takes no requests now.")


class AccountSuspended(Refusal):
    code = "account_suspended"
    status = 409
    message = _("The PAMM account is suspended: nobody can join it or add money until that ends.")


class AccountNotSuspended(Refusal):
    code = "account_not_suspended"
    status = 409
    message = _("The PAMM account is not suspended.")


class TermsChanged(Refusal):
    code = "terms_changed"
    status = 409
    message = _("The terms have changed since you saw them. Read the new version first.")


class NothingNewer(Refusal):
    code = "nothing_newer"
    status = 409
    message = _("Your investment is under these terms, or newer ones, already.")


class TermsInEffect(Refusal):
    code = "terms_in_effect"
    status = 409
    message = _("The terms have taken effect already: the acceptance can no longer be taken back.")


class OwnOffer(Refusal):
    code = "own_offer"
    message = _("You manage this account: add own capital instead of joining your own offer.")


class InvestmentNotActive(Refusal):
    code = "investment_not_active"
    status = 409
    message = _("The investment is not active.")


class LockInNotOver(Refusal):
    code = "lock_in_not_over"
    status = 409
    message = _("The money is locked in until {ends_at}.")


class AlreadyClosing(Refusal):
    code = "already_closing"
    status = 409
    message = _("A close of this investment is under way already.")


class StopOnOwnCapital(Refusal):
    code = "stop_on_own_capital"
    message = _("Own capital has to stay while others are invested: it takes no stop loss or take profit.")


class StopLossNotBelow(Refusal):
    code = "stop_loss_not_below"
    message = _("A stop loss must be below what your investment is worth now, {value} {currency}.")


class TakeProfitNotAbove(Refusal):
    code = "take_profit_not_above"
    message = _("A take profit must be above what your investment is worth now, {value} {currency}.")


class StopsCrossed(Refusal):
    code = "stops_crossed"
    message = _("The stop loss must be below the take profit.")


class NoStop(Refusal):
    code = "no_stop"
    status = 409
    message = _("There is no such stop any more.")


class StopsChanged(Refusal):
    code = "stops_changed"
    status = 409
    message = _("Your units have changed since you opened this page. Look at the amounts again.")


class OppositeRequestOpen(Refusal):
    code = "opposite_request_open"
    status = 409
    message = _("You have an open {other} on this account. Wait for it, or cancel it first.")


class TakenOutEarly(Refusal):
    code = "taken_out_early"
    status = 409
    message = _(
        "You took money out of this account before its trading interval ended: it can come back after {ends}."
    )


class OwnCapitalWouldBreak(Refusal):
    code = "own_capital_would_break"
    status = 409
    message = _("Your own capital must stay at least {minimum} {currency} while others are invested.")


class OwnCapitalTooSmall(Refusal):
    code = "own_capital_too_small"
    message = _("Own capital must be at least {minimum} {currency}.")


class StaleConfirmation(Refusal):
    code = "stale_confirmation"
    status = 409
    message = _("The request has changed since you opened it. Look at it again.")


class RequestNotPending(Refusal):
    code = "request_not_pending"
    status = 409
    message = _("The request is {state} and can no longer be changed.")


class ReasonMissing(Refusal):
    code = "reason_missing"
    message = _("Say why: the investor will read it.")


class IdempotencyKeyReused(Refusal):
    code = "idempotency_key_reused"
    status = 409
    message = _("This form was sent before with other content. Open it again.")


class NotInThisCurrency(Refusal):
    code = "currency_not_available"
    message = _("PAMM accounts in {currency} cannot be opened: the broker has not set them up.")


class TradingServerRefused(Refusal):
    code = "trading_server_refused"
    status = 502
    message = _("The trading server did not open the account. Try again in a few minutes.")


class TradingServerUnavailable(Refusal):
    code = "trading_server_unavailable"
    status = 503
    message = _("The trading server does not answer. Nothing was changed; try again in a few minutes.")
