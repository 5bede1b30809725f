"""What the broker's administrators and dealers are told of."""

from django.utils.translation import gettext_lazy as _

from events.kinds.kind import Group, Kind, Link, Words, one

_HELD = Link("admin:accounts_pammaccount_change", _("Look into it"), "account_id")
_SERVER = Link("admin:trading_tradingserver_change", _("See the trading server"), "server_id")
_FINDING = Link("admin:rollover_finding_change", _("See the finding"), "finding")

STAFF = (
    Kind(
        "request_to_decide",
        Group.STAFF,
        _("A deposit waits for the broker's approval"),
        "user-check",
        one(
            _("Deposit to approve"),
            _("%(person)s asks to put %(amount)s into “%(account)s” and waits for the broker's decision."),
        ),
        Link("admin:investing_request_change", _("Decide"), "request"),
    ),
    Kind(
        "account_held",
        Group.STAFF,
        _("A rollover is held"),
        "alert-triangle",
        one(
            _("Rollover held"),
            _("“%(account)s” is held: nothing of it is priced or paid until somebody has looked. %(hold)s"),
        ),
        _HELD,
        by_email=True,
        tone="error",
    ),
    Kind(
        "transfer_in_conflict",
        Group.STAFF,
        _("An operation stands on the trading server otherwise than sent"),
        "alert-triangle",
        one(
            _("Operation in conflict"),
            _("An operation of “%(account)s” stands on the trading server twice, or otherwise than sent."),
        ),
        _HELD,
        by_email=True,
        tone="error",
    ),
    Kind(
        "server_failing",
        Group.STAFF,
        _("A trading server does not answer"),
        "activity",
        {
            "failing": Words(
                _("Trading server does not answer"),
                _("“%(server)s” has failed several times and is left alone for a while: %(error)s"),
            ),
            "returned": Words(_("Trading server answers again"), _("“%(server)s” answers again.")),
        },
        _SERVER,
        by_email=True,
        tone="warning",
    ),
    Kind(
        "finding_opened",
        Group.STAFF,
        _("The nightly comparison finds a difference"),
        "search",
        one(
            _("Difference found"),
            _("The nightly comparison with the trading server found a difference on login %(login)s."),
        ),
        _FINDING,
        by_email=True,
        tone="warning",
    ),
)
