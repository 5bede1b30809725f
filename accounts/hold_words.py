"""Why an account is held, in words."""

from django.utils.translation import gettext_lazy as _

HOLD_WORDS = {
    "balance_differs": _("The server's balance is not explained by its deals and our transfers."),
    "floating_differs": _("The floating result is not that of the open positions."),
    "foreign_operation": _("Somebody moved money on the account by hand."),
    "unknown_login": _("The trading server does not know the account."),
    "state_unusable": _("What the trading server says of the account's balance and equity cannot be used."),
    "positions_missing": _(
        "By its deals positions are open, but the trading server shows none. Release it only if none is."
    ),
    "remainder_too_large": _("Money stands in an account that nobody has a part in."),
    "transfer_conflict": _("One of our operations stands on the server twice, or otherwise than sent."),
    "counted_deal_changed": _("A deal that a price was computed from has been changed or removed."),
    "wiped_out": _("Nothing is left: the series has ended. Releasing begins a new one."),
}
