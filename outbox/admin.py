"""What happened: events of the platform, and what the staff did in the back office. To read."""

from typing import ClassVar

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from brokers.scope import current_broker_id
from outbox.models import Event
from pamm_platform.admin_pages import ListOnlyAdmin, ReadOnlyAdmin, structure
from pamm_platform.admin_site import back_office


@admin.register(Event, site=back_office)
class EventAdmin(ReadOnlyAdmin):
    list_display = ("kind", "occurred_at", "subject", "recorded_at")
    list_filter = ("occurred_at",)
    search_fields = ("=kind", "=subject")
    search_help_text = _("Kind, or public id of what it is about")
    fields: ClassVar = [
        "public_id",
        "kind",
        "subject",
        "occurred_at",
        "recorded_at",
        structure("payload", _("payload")),
    ]


@admin.register(LogEntry, site=back_office)
class LogEntryAdmin(ListOnlyAdmin):
    list_display = ("action_time", "user", "content_type", "object_repr", "action_flag", "change")
    list_select_related = ("user", "content_type")
    list_filter = ("action_time", "action_flag")
    search_fields = ("object_repr", "user__email")

    def get_queryset(self, request: HttpRequest) -> QuerySet[LogEntry]:
        # Django's own table has no scoped manager; the database's fence stands behind this line.
        return super().get_queryset(request).filter(user__broker_id=current_broker_id())

    @admin.display(description=_("what"))
    def change(self, entry: LogEntry) -> str:
        return entry.get_change_message()
