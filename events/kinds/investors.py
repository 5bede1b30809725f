"""What investors are told of."""

from django.utils.translation import gettext_lazy as _

from events.kinds.kind import Group, Kind, Link, Words, one

_REQUEST = Link("investing:request", _("See the request"), "request")
_INVESTMENT = Link("allocation:investment", _("See the investment"), "investment")
_TERMS = Link("investing:terms", _("Compare the terms"), "investment")

INVESTORS = (
    Kind(
        "request_confirmed",
        Group.REQUESTS,
        _("A request of yours is approved"),
        "circle-check",
        one(
            _("Deposit approved"),
            _(
                "Your deposit of %(amount)s into “%(account)s” was approved. "
                "The next rollover carries it out."
            ),
        ),
        _REQUEST,
        by_email=True,
        tone="success",
    ),
    Kind(
        "request_executed",
        Group.REQUESTS,
        _("A request of yours is carried out"),
        "checks",
        {
            "deposit": Words(
                _("Deposit invested"), _("Your deposit of %(amount)s is invested in “%(account)s”.")
            ),
            "withdrawal": Words(
                _("Withdrawal carried out"),
                _("%(amount)s of your investment in “%(account)s” is on its way to your trading account."),
            ),
            "close": Words(
                _("Investment closed"),
                _(
                    "Your investment in “%(account)s” is closed. %(amount)s is on its way to your trading "
                    "account."
                ),
            ),
        },
        _REQUEST,
        by_email=True,
        tone="success",
    ),
    Kind(
        "request_failed",
        Group.REQUESTS,
        _("A request of yours cannot be carried out"),
        "alert-triangle",
        {
            "deposit": Words(
                _("Deposit not carried out"),
                _("Your deposit of %(amount)s into “%(account)s” could not be carried out. %(reason)s"),
            ),
            "withdrawal": Words(
                _("Withdrawal not carried out"),
                _("Your withdrawal of %(amount)s from “%(account)s” could not be carried out. %(reason)s"),
            ),
            "close": Words(
                _("Close not carried out"),
                _("Your investment in “%(account)s” could not be closed. %(reason)s"),
            ),
        },
        _REQUEST,
        by_email=True,
        tone="error",
    ),
    Kind(
        "request_rejected",
        Group.REQUESTS,
        _("A request of yours is declined"),
        "circle-x",
        one(
            _("Deposit declined"),
            _("Your deposit of %(amount)s into “%(account)s” was declined: %(note)s"),
        ),
        _REQUEST,
        by_email=True,
        tone="error",
    ),
    Kind(
        "request_expired",
        Group.REQUESTS,
        _("A request of yours expires"),
        "clock",
        one(
            _("Deposit expired"),
            _("Nobody approved your deposit of %(amount)s into “%(account)s” in time. You can ask again."),
        ),
        _REQUEST,
        by_email=True,
        tone="warning",
    ),
    Kind(
        "request_cancelled",
        Group.REQUESTS,
        _("A request of yours is cancelled by somebody else"),
        "ban",
        {
            "": Words(
                _("Request cancelled"), _("Your request concerning “%(account)s” was cancelled. %(reason)s")
            ),
            "deposit": Words(
                _("Deposit cancelled"),
                _("Your deposit of %(amount)s into “%(account)s” was cancelled. %(reason)s"),
            ),
        },
        _REQUEST,
        by_email=True,
        tone="warning",
    ),
    Kind(
        "deposit_arrived",
        Group.REQUESTS,
        _("A deposit of yours arrives in the account"),
        "arrow-down",
        {
            "": Words(_("Deposit arrived"), _("%(amount)s arrived in “%(account)s”.")),
            "returned": Words(
                _("Deposit returned"),
                _("%(amount)s came back from “%(account)s” to your trading account."),
            ),
        },
        _REQUEST,
        in_cabinet=False,
    ),
    Kind(
        "payout_arrived",
        Group.REQUESTS,
        _("A payout arrives in your trading account"),
        "cash",
        one(
            _("Payout arrived"), _("%(amount)s from “%(account)s” arrived in your trading account %(login)s.")
        ),
        _REQUEST,
        tone="success",
    ),
    Kind(
        "fee_charged",
        Group.INVESTMENTS,
        _("A fee is charged"),
        "receipt",
        {
            "": Words(_("Fee charged"), _("A fee of %(amount)s was charged in “%(account)s”.")),
            "entry": Words(
                _("Entry fee charged"),
                _("%(amount)s of your deposit into “%(account)s” was the entry fee."),
            ),
            "early_exit": Words(
                _("Early exit fee charged"),
                _("%(amount)s was charged for leaving “%(account)s” early."),
            ),
            "performance": Words(
                _("Performance fee charged"),
                _("%(amount)s of your profit in “%(account)s” was charged as performance fee."),
            ),
            "management": Words(
                _("Management fee charged"), _("%(amount)s was charged in “%(account)s” as management fee.")
            ),
            "subscription": Words(
                _("Subscription fee charged"),
                _("%(amount)s was charged in “%(account)s” as subscription fee."),
            ),
            "volume": Words(
                _("Volume fee charged"), _("%(amount)s was charged in “%(account)s” as volume fee.")
            ),
        },
        _INVESTMENT,
    ),
    Kind(
        "interval_ended",
        Group.INVESTMENTS,
        _("A trading interval ends"),
        "calendar",
        {
            "charged": Words(
                _("Trading interval ended"),
                _(
                    "Your trading interval in “%(account)s” ended. Fees of %(amount)s were charged; the next "
                    "one has begun."
                ),
            ),
            "free": Words(
                _("Trading interval ended"),
                _("Your trading interval in “%(account)s” ended and no fee was due. The next one has begun."),
            ),
        },
        _INVESTMENT,
        by_email=True,
    ),
    Kind(
        "terms_offered",
        Group.INVESTMENTS,
        _("New terms are offered to you"),
        "file-text",
        one(
            _("New terms offered"),
            _(
                "“%(offer)s” in “%(account)s” has new terms, version %(version)s. Yours stay as they are "
                "unless you accept the new ones."
            ),
        ),
        _TERMS,
        by_email=True,
    ),
    Kind(
        "terms_began",
        Group.INVESTMENTS,
        _("Terms you accepted begin"),
        "file-text",
        one(
            _("New terms in effect"),
            _("Version %(version)s of the terms, which you accepted, now applies in “%(account)s”."),
        ),
        _TERMS,
    ),
    Kind(
        "account_suspended",
        Group.INVESTMENTS,
        _("An account you are invested in is suspended"),
        "alert-triangle",
        one(
            _("Account suspended"),
            _("“%(account)s” is suspended: nobody can join it until that ends. Your investment stays yours."),
        ),
        _INVESTMENT,
        by_email=True,
        tone="warning",
    ),
    Kind(
        "account_resumed",
        Group.INVESTMENTS,
        _("The suspension of an account you are invested in ends"),
        "circle-check",
        one(
            _("Suspension ended"),
            _("“%(account)s” is no longer suspended: money can be added to it again."),
        ),
        _INVESTMENT,
        tone="success",
    ),
    Kind(
        "account_closing",
        Group.INVESTMENTS,
        _("An account you are invested in is closed"),
        "logout",
        one(
            _("Account is being closed"),
            _(
                "“%(account)s” is being closed. Its positions are closed, and everybody is paid at the next "
                "rollovers without an early exit fee."
            ),
        ),
        _INVESTMENT,
        by_email=True,
        tone="warning",
    ),
    Kind(
        "account_closed",
        Group.INVESTMENTS,
        _("Closing an account you were invested in is finished"),
        "lock",
        one(_("Account closed"), _("“%(account)s” is closed. Everybody has been paid.")),
        _INVESTMENT,
    ),
    Kind(
        "account_wiped_out",
        Group.INVESTMENTS,
        _("An account you are invested in is wiped out"),
        "alert-circle",
        one(
            _("Account wiped out"),
            _("“%(account)s” has lost all of its money. Your investment in it has ended with nothing."),
        ),
        _INVESTMENT,
        by_email=True,
        tone="error",
    ),
    Kind(
        "stop_reached",
        Group.INVESTMENTS,
        _("A stop loss or take profit of yours is reached"),
        "trending-down",
        {
            "stop_loss": Words(
                _("Stop loss reached"),
                _("Your investment in “%(account)s” has reached its stop loss and is being closed."),
            ),
            "take_profit": Words(
                _("Take profit reached"),
                _("Your investment in “%(account)s” has reached its take profit and is being closed."),
            ),
        },
        _INVESTMENT,
        by_email=True,
        tone="warning",
    ),
    Kind(
        "statement_ready",
        Group.INVESTMENTS,
        _("A statement you asked for is ready"),
        "file-text",
        {
            "ready": Words(_("Statement ready"), _("The statement you asked for is ready to be downloaded.")),
            "failed": Words(
                _("Statement not made"),
                _("The statement you asked for could not be made. You can try again."),
            ),
        },
        Link("statements:file", _("See the statement"), "file"),
    ),
)
