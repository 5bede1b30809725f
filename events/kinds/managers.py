"""What managers, and whoever earns a part of fees, are told of."""

from django.utils.translation import gettext_lazy as _

from events.kinds.kind import Group, Kind, Link, Words, one

_APPROVALS = Link("investing:approvals", _("Decide"))
_MANAGED = Link("accounts:managed-account", _("See the account"), "account_id")

MANAGERS = (
    Kind(
        "request_to_approve",
        Group.MANAGING,
        _("Somebody asks to join or to add money"),
        "user-plus",
        one(
            _("Deposit to approve"),
            _("%(person)s asks to put %(amount)s into “%(account)s” and waits for your decision."),
        ),
        _APPROVALS,
        by_email=True,
    ),
    Kind(
        "managed_account_held",
        Group.MANAGING,
        _("A rollover of your account is held"),
        "alert-triangle",
        one(
            _("Account held"),
            _("“%(account)s” is held: nothing of it is priced or paid until the broker has looked. %(hold)s"),
        ),
        _MANAGED,
        by_email=True,
        tone="error",
    ),
    Kind(
        "managed_account_released",
        Group.MANAGING,
        _("A held account is released"),
        "circle-check",
        one(_("Account released"), _("“%(account)s” is no longer held. It takes part in rollovers again.")),
        _MANAGED,
        tone="success",
    ),
    Kind(
        "managed_account_changed",
        Group.MANAGING,
        _("Your account is suspended, closed or wiped out"),
        "briefcase",
        {
            "suspended": Words(
                _("Account suspended"), _("The broker has suspended “%(account)s”: nobody can join it now.")
            ),
            "resumed": Words(
                _("Suspension ended"),
                _("“%(account)s” is no longer suspended: its offers take investments again."),
            ),
            "closing": Words(
                _("Account is being closed"),
                _("The broker is closing “%(account)s”. Its next rollovers pay everybody."),
            ),
            "closed": Words(_("Account closed"), _("“%(account)s” is closed. Everybody has been paid.")),
            "wiped_out": Words(
                _("Account wiped out"),
                _("“%(account)s” has lost all of its money. Its series has ended."),
            ),
        },
        _MANAGED,
        by_email=True,
        tone="warning",
    ),
)

PAYEES = (
    Kind(
        "fee_paid",
        Group.PAYMENTS,
        _("Your part of fees is paid"),
        "coins",
        {
            "manager": Words(
                _("Fees paid"), _("%(amount)s of fees of “%(account)s” arrived in your trading account.")
            ),
            "agent": Words(_("Agent's share paid"), _("%(amount)s arrived in your trading account.")),
        },
        Link("accounts:trading-accounts", _("See your trading accounts")),
    ),
)
