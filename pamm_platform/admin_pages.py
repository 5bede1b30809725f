"""What every page of the back office is made of.

Closed and read-only by default, public ids in addresses, amounts in the digits of their currency, and a page
with the facts and a note before anything is done.
"""

import json
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.contrib.admin import SimpleListFilter
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin, TabularInline
from unfold.paginator import InfinitePaginator
from unfold.views import ChangeList
from unfold.widgets import UnfoldAdminTextareaWidget

from accounts.models import STAFF_ROLES, PammAccount, Role, User
from accounts.queries import user_roles
from brokers.errors import Refusal
from pamm_platform.templatetags.figures import NOTHING, money

Column = Callable[[Any], Any]

ACCOUNTS_IN_FILTER = 50


class PublicIdChangeList(ChangeList):
    """Links rows by their public id: a sequence would tell how much all brokers together do."""

    def url_for_result(self, result: Any) -> str:
        return reverse(
            f"admin:{self.opts.app_label}_{self.opts.model_name}_change",
            args=[result.public_id],
            current_app=self.model_admin.admin_site.name,
        )


class BackOfficeAdmin(ModelAdmin):
    """A model's pages: seen by staff, changed by nobody, unless a subclass names roles.

    `accounts.permissions` has the last word on every role named here.
    """

    viewers: ClassVar[frozenset[Role]] = STAFF_ROLES
    adders: ClassVar[frozenset[Role]] = frozenset()
    changers: ClassVar[frozenset[Role]] = frozenset()

    actions: Any = None
    list_per_page = 50
    list_filter_submit = True
    show_full_result_count = False
    empty_value_display = NOTHING

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return has_any(request, self.viewers) and super().has_view_permission(request, obj)

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        return has_any(request, self.adders) and super().has_add_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return has_any(request, self.changers) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_decide_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether the person may act on such a row through a service, though nobody edits the row itself."""
        return super().has_change_permission(request, obj)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return PublicIdChangeList

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        if from_field is not None:
            return super().get_object(request, object_id, from_field)
        try:
            public_id = uuid.UUID(object_id)
        except ValueError:
            return None
        return self.get_queryset(request).filter(public_id=public_id).first()

    def get_or_404(self, request: HttpRequest, object_id: str) -> Any:
        """The row, or the same answer for one that does not exist and one of another broker."""
        row = self.get_object(request, object_id)
        if row is None:
            raise Http404
        return row

    def _get_obj_does_not_exist_redirect(
        self, request: HttpRequest, opts: Any, object_id: str
    ) -> HttpResponse:
        raise Http404

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        # The log keeps primary keys.
        return super().history_view(request, str(self.get_or_404(request, object_id).pk), extra_context)

    def response_add(
        self, request: HttpRequest, obj: Any, post_url_continue: str | None = None
    ) -> HttpResponse:
        messages.success(request, _("%(row)s was added.") % {"row": obj})
        return HttpResponseRedirect(change_url(obj))

    def confirmation(
        self,
        request: HttpRequest,
        *,
        title: Any,
        form: forms.Form,
        facts: Iterable[tuple[Any, Any]],
        submit: Any,
        warning: Any = "",
        back: str,
        effect: Sequence[tuple[Any, Any]] = (),
        hidden: Sequence[tuple[str, str]] = (),
    ) -> TemplateResponse:
        """The page between a button and its effect. `effect` is what it would do as the form stands, `hidden`
        is repeated by the form when it is sent.
        """
        context = self.admin_site.each_context(request) | {
            "title": title,
            "opts": self.model._meta,
            "form": form,
            "facts": list(facts),
            "submit_label": submit,
            "warning": warning,
            "back": back,
            "effect": effect,
            "hidden": hidden,
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/confirmation.html", context)

    def carried_out(self, request: HttpRequest, act: Callable[[], Any], *, row: Any, done: Any) -> bool:
        """Call a service and say what came of it: to the audit log where done, to the page where refused."""
        try:
            act()
        except Refusal as refusal:
            messages.error(request, str(refusal))
            return False
        self.log_change(request, row, str(done))
        messages.success(request, done)
        return True

    def confirmed(
        self,
        request: HttpRequest,
        act: Callable[[], Any],
        *,
        row: Any,
        form: forms.Form,
        done: Callable[[], Any],
        title: Any,
        facts: Iterable[tuple[Any, Any]],
        submit: Any,
        warning: Any = "",
    ) -> HttpResponse:
        """Ask first, then act: the confirmation page of a row until its form is sent and valid, then `act`,
        what came of it, and the row's own page. `act` and `done` may read what the form holds by then.
        """
        if request.method == "POST" and form.is_valid():
            self.carried_out(request, act, row=row, done=done())
            return HttpResponseRedirect(change_url(row))
        return self.confirmation(
            request,
            title=title,
            form=form,
            facts=facts,
            submit=submit,
            warning=warning,
            back=change_url(row),
        )


class ReadOnlyAdmin(BackOfficeAdmin):
    """History and money: everything shown, nothing changed, nothing counted, sorted by index alone."""

    paginator = InfinitePaginator
    ordering: Any = ("-id",)
    sortable_by: Any = ()

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fields or ()


class ListOnlyAdmin(ReadOnlyAdmin):
    """Rows without a page of their own."""

    list_display_links: Any = None

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        return None


class ReadOnlyInline(TabularInline):
    """Rows shown on their parent's page, unchangeable."""

    extra = 0
    can_delete = False
    per_page = 50
    show_change_link = False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return has_any(request, STAFF_ROLES)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fields or ()


class AccountFilter(SimpleListFilter):
    """Rows of one PAMM account, by its public id."""

    title = _("PAMM account")
    parameter_name = "account"
    path: ClassVar[str] = "account"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        accounts = PammAccount.objects.order_by("name", "pk").values_list("public_id", "name")[
            :ACCOUNTS_IN_FILTER
        ]
        found = {str(public_id): name for public_id, name in accounts}
        if (chosen := _uuid(self.value())) is not None and str(chosen) not in found:
            found |= {str(chosen): row.name for row in PammAccount.objects.filter(public_id=chosen)}
        return list(found.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() is None:
            return queryset
        chosen = _uuid(self.value())
        return queryset.none() if chosen is None else queryset.filter(**{f"{self.path}__public_id": chosen})


class NoteForm(forms.Form):
    """The reason a person gives for what is about to happen."""

    note = forms.CharField(
        label=_("Note"), max_length=300, widget=UnfoldAdminTextareaWidget(attrs={"rows": 3})
    )


class NoInputForm(forms.Form):
    """Nothing to fill in: the button is the answer."""


def has_any(request: HttpRequest, roles: frozenset[Role]) -> bool:
    return bool(user_roles(request.user) & roles)


def staff_member(request: HttpRequest) -> User:
    """Who is acting. Nobody gets here unsigned: the site's door has asked."""
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


def change_url(row: Any) -> str:
    """Address of a row's page."""
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.public_id])


def list_url(model: type[Model], **query: object) -> str:
    """Address of a model's list, filtered."""
    address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    return f"{address}?{urlencode(query)}" if query else address


def amount(name: str, label: Any, *, of: str = "") -> Column:
    """A column with an amount in the digits and currency of the row, or of what `of` (dotted) leads to."""
    read, owner = _reader(name), _reader(of) if of else _itself

    def shown(row: Any) -> Any:
        figure = read(row)
        return None if figure is None else money(figure, owner(row))

    return _column(shown, name, label)


def link(name: str, label: Any) -> Column:
    """A column that leads to the page of a referenced row."""
    read = _reader(name)

    def shown(row: Any) -> Any:
        target = read(row)
        if target is None:
            return None
        return format_html('<a class="text-link" href="{}">{}</a>', change_url(target), target)

    return _column(shown, name, label)


def identifier(name: str, label: Any) -> Column:
    """A column with the end of a public id, which is what tells two apart; the whole of it on pointing."""
    read = _reader(name)

    def shown(row: Any) -> Any:
        return format_html('<span title="{}">…{}</span>', read(row), str(read(row))[-12:])

    return _column(shown, name, label)


def words(name: str, label: Any) -> Column:
    """A column that names a referenced row without a page for everybody. Django would link it by key."""
    read = _reader(name)

    def shown(row: Any) -> Any:
        target = read(row)
        return None if target is None else str(target)

    return _column(shown, name, label)


def figure(name: str, label: Any) -> Column:
    """A column with an exact decimal without the zeros at its end: units, prices, marks, fractions."""
    read = _reader(name)

    def shown(row: Any) -> Any:
        number = read(row)
        return None if number is None else plain(number)

    return _column(shown, name, label)


def structure(name: str, label: Any) -> Column:
    """A JSON column opened into a table of its keys."""
    read = _reader(name)
    return _column(lambda row: opened(read(row)), name, label)


def plain(number: Any) -> str:
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def opened(content: Any) -> SafeString | str:
    """Nested JSON as nested tables; scalars as they are."""
    if isinstance(content, dict) and content:
        rows = ((key, opened(part)) for key, part in content.items())
        return format_html(
            '<table class="back-office-structure" translate="no">{}</table>',
            format_html_join("", "<tr><th scope='row'>{}</th><td>{}</td></tr>", rows),
        )
    if isinstance(content, list) and content:
        return format_html_join("", "<div>{}</div>", ((opened(part),) for part in content))
    if content in (None, "", [], {}):
        return NOTHING
    return content if isinstance(content, str) else json.dumps(content)


def _reader(name: str) -> Column:
    """Follows a dotted name; None where a reference on the way is empty."""
    steps = name.split(".")

    def read(row: Any) -> Any:
        found = row
        for step in steps:
            if found is None:
                return None
            found = getattr(found, step)
        return found

    return read


def _column(shown: Column, name: str, label: Any) -> Column:
    shown.__name__ = name.replace(".", "_")
    shown.short_description = label  # type: ignore[attr-defined]
    shown.admin_order_field = name.replace(".", "__")  # type: ignore[attr-defined]
    return shown


def _itself(row: Any) -> Any:
    return row


def _uuid(text: str | None) -> uuid.UUID | None:
    try:
        return uuid.UUID(text or "")
    except ValueError:
        return None
