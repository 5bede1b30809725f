"""E-mails that were sent, wait or were given up. To read."""

from typing import ClassVar

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from events.kinds import KINDS
from events.models import Mail
from pamm_platform.admin_pages import ReadOnlyAdmin, words
from pamm_platform.admin_site import back_office


@admin.register(Mail, site=back_office)
class MailAdmin(ReadOnlyAdmin):
    list_display = ("address", "told_of", "state", "attempts", "created_at", "sent_at", "reason")
    list_filter = ("state", "created_at")
    list_select_related = ("notification",)
    search_fields = ("=address",)
    search_help_text = _("E-mail address")
    fields: ClassVar = [
        "public_id",
        "address",
        words("notification.user", _("person")),
        "told_of",
        "state",
        "attempts",
        "due_at",
        "reason",
        "created_at",
        "sent_at",
    ]

    @admin.display(description=_("told of"))
    def told_of(self, mail: Mail) -> str:
        kind = KINDS.get(mail.notification.kind)
        return str(kind.name) if kind else mail.notification.kind
