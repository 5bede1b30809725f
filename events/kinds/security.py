"""What everybody is told of his own account, and cannot turn off."""

from django.utils.translation import gettext_lazy as _

from events.kinds.kind import Group, Kind, Link, one

_SECURITY = Link("mfa_index", _("Check your security"))

SECURITY = tuple(
    Kind(
        code,
        Group.SECURITY,
        name,
        icon,
        one(title, text),
        _SECURITY,
        by_email=True,
        is_obligatory=True,
        tone="warning",
    )
    for code, name, icon, title, text in (
        (
            "signed_in",
            _("Somebody signs in from a new device"),
            "user",
            _("New sign-in"),
            _("Somebody signed in to your account from a device not seen before: %(device)s."),
        ),
        (
            "password_changed",
            _("Your password is changed"),
            "key",
            _("Password changed"),
            _("The password of your account was changed from %(device)s."),
        ),
        (
            "email_changed",
            _("Your e-mail address is changed"),
            "mail",
            _("E-mail address changed"),
            _("The e-mail address of your account was changed from %(device)s."),
        ),
        (
            "second_factor_added",
            _("A second factor is added"),
            "shield-check",
            _("Second factor added"),
            _("An authenticator app or a passkey was added to your account from %(device)s."),
        ),
        (
            "second_factor_removed",
            _("A second factor is removed"),
            "shield-lock",
            _("Second factor removed"),
            _("An authenticator app or a passkey was removed from your account from %(device)s."),
        ),
        (
            "recovery_codes_made",
            _("Recovery codes are made"),
            "key",
            _("New recovery codes"),
            _("New recovery codes of your account were made from %(device)s. Earlier ones are void."),
        ),
    )
)
