"""Every route × a stranger: Charlie of broker B, a visitor, another client of the same broker.

Routes come from the URL resolver. One with an object in its path needs a row in `OBJECTS`; one that visitors
may see has to be named in `PUBLIC`.
"""

import io
import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.apps import apps
from django.http import HttpResponseBase
from django.test import Client
from pypdf import PdfReader

from accounts.models import PammAccount, Role, User
from allocation.models import Investment, UnitEntry
from brokers.models import Broker
from brokers.scope import broker_scope
from events.models import Notification
from fees.models import Charge
from investing.models import Request
from offers.models import JoinLink, Offer
from statements.models import StatementFile
from tests.isolation.conftest import Filled
from tests.isolation.routes import Route, routes
from tests.worlds import person, signed_in

ALPHA, BETA = "alpha.localhost", "beta.localhost"

#: Which rows a route's path names, in its order. Admin's are found by their model.
OBJECTS: dict[str, tuple[Any, ...]] = {
    "offers:offer": (Offer,),
    "widgets:offer": (Offer,),
    "offers:simulator": (Offer,),
    "trades:offer": (Offer,),
    "trades:offer-csv": (Offer,),
    "trades:investment": (Investment,),
    "trades:investment-csv": (Investment,),
    "offers:join": (Offer,),
    "offers:by-link": (JoinLink,),
    "offers:start-by-link": (JoinLink,),
    "offers:create": (PammAccount,),
    "offers:managed-offer": (Offer,),
    "offers:edit": (Offer,),
    "offers:move": (Offer,),
    "offers:close": (Offer,),
    "offers:add-link": (Offer,),
    "offers:revoke-link": (Offer, JoinLink),
    "allocation:investment": (Investment,),
    "allocation:investment-figures": (Investment,),
    "investing:terms": (Investment,),
    "investing:request": (Request,),
    "investing:cancel": (Request,),
    "investing:confirm": (Request,),
    "investing:reject": (Request,),
    "investing:withdraw": (Investment,),
    "investing:close": (Investment,),
    "investing:deposit": (Investment,),
    "investing:stops": (Investment,),
    "investing:remove-stop": (Investment,),
    "track_record_api:price-series": (PammAccount,),
    "trades_api:trades": (PammAccount,),
    "trades_api:open-positions": (PammAccount,),
    "fees_api:charge": (Charge,),
    "fees_api:accrued-fees": (Investment,),
    "statements:charge": (Charge,),
    "statements:movement": (UnitEntry,),
    **{
        f"statements:{kind}-{what}-of": (User,)
        for kind in ("investor", "manager", "agent")
        for what in ("page", "csv", "pdf", "prepare")
    },
    **{f"statements:{name}": (StatementFile,) for name in ("file", "file-progress", "retry", "download")},
    "accounts:managed-account": (PammAccount,),
    "accounts:investors": (PammAccount,),
    "accounts:rollovers": (PammAccount,),
    "accounts:settings": (PammAccount,),
    "accounts:disclosure": (PammAccount,),
    "accounts:close-account": (PammAccount,),
    "events:open": (Notification,),
    "events:read": (Notification,),
    "mfa_remove_webauthn": (Authenticator,),
    "mfa_edit_webauthn": (Authenticator,),
}
#: Routes whose parameters name no row: a content type, an app, whatever else is below `/admin/`.
WITHOUT_ROWS = {
    "brokers:brand-image": ("logo",),
    "admin:view_on_site": (1, 1),
    "admin:app_list": ("ledger",),
    "admin:admin/(?P<url>.*)$": ("nothing/like/this/",),
}
#: Routes whose path holds a secret instead of naming a row.
SECRETS = {"account_confirm_email", "account_reset_password_from_key"}

#: What a visitor may see. Whatever else there is leads to the sign-in.
PUBLIC = {
    "brokers:brand-stylesheet",
    "brokers:brand-image",
    "brokers:brand-icon",
    "brokers:design",
    "brokers:design-sheet",
    "brokers:choose-theme",
    "accounts:choose-language",
    "offers:leaderboard",
    "offers:comparison",
    "widgets:leaderboard",
    "widgets:offer",
    "offers:offer",
    "offers:simulator",
    "trades:offer",
    "trades:offer-csv",
    "offers:by-link",
    "track_record_api:price-series",
    "trades_api:trades",
    "trades_api:open-positions",
    "accounts:trading-login",
    "account_login",
    "account_logout",
    "account_inactive",
    "account_signup",
    "account_email_verification_sent",
    "account_confirm_email",
    "account_reset_password",
    "account_reset_password_done",
    "account_reset_password_from_key",
    "account_reset_password_from_key_done",
    "mfa_login_webauthn",
    # Leads a visitor to the start page.
    "admin:logout",
}

ROUTES = routes()
WITH_OBJECT = [route for route in ROUTES if route.parameters and route.name not in SECRETS]


def objects_of(route: Route) -> tuple[Any, ...]:
    """The models of the rows in a route's path. Raises KeyError for a new route."""
    match = re.match(r"admin/(\w+)/(\w+)/", route.template)
    if route.name in OBJECTS:
        return OBJECTS[route.name]
    if match:
        return (apps.get_model(match[1], match[2]),)
    if route.name in WITHOUT_ROWS:
        return ()
    raise KeyError(f"{route.name}: name the rows in its path in OBJECTS")


def addresses(route: Route, rows: dict[Any, Any]) -> Iterator[tuple[str, str]]:
    """The route's address with rows of a broker, by public id and by primary key, and with ids nobody has."""
    models = objects_of(route)
    if not models:
        yield route.address(*WITHOUT_ROWS[route.name]), route.address(*WITHOUT_ROWS[route.name])
        return
    by_key = [rows[model].pk for model in models]
    by_public_id = [_public_id(rows[model]) for model in models]
    is_integer = models == (Authenticator,)
    for values in (by_public_id, by_key):
        if all(value is not None for value in values) and not (values is by_public_id and is_integer):
            nobodys = [10**6 if isinstance(value, int) else _like(value) for value in values]
            yield route.address(*values), route.address(*nobodys)


def _public_id(row: Any) -> Any:
    return getattr(row, "token", None) or getattr(row, "public_id", None)


def _like(value: Any) -> Any:
    return uuid.uuid4() if isinstance(value, uuid.UUID) else "nobodys"


def traces(filled: Filled) -> list[str]:
    """What gives broker A away on a page: names, addresses, identifiers."""
    world = filled.world
    rows = [row for row in filled.alphas.values() if getattr(row, "public_id", None)]
    return [
        "alice@example.com",
        "bob@example.com",
        "Alice",
        *(str(row.public_id) for row in rows),
        str(world.pool.account.public_id),
        str(world.pool.investment.public_id),
        str(world.alice_manager.public_id),
    ]


def body(answer: HttpResponseBase) -> str:
    content = b"".join(answer.streaming_content) if answer.streaming else answer.content  # type: ignore[attr-defined]
    if answer.headers["Content-Type"] == "application/pdf":
        return " ".join(page.extract_text() for page in PdfReader(io.BytesIO(content)).pages)
    return bytes(content).decode()


def shown(answer: HttpResponseBase) -> tuple[int, str]:
    """Status and target, without the id that was asked for."""
    ids = r"[0-9a-f]{8}-[0-9a-f-]{27}|\d+|nobodys"
    return answer.status_code, re.sub(ids, "…", answer.headers.get("Location", ""))


@pytest.fixture(scope="module")
def charlie(filled: Filled) -> Client:
    with broker_scope(filled.world.beta.pk):
        Authenticator.objects.all().delete()
    return signed_in(filled.world.charlie)


@pytest.fixture(scope="module")
def eve(filled: Filled) -> Client:
    """An investor at broker A with nothing of her own."""
    with broker_scope(filled.world.alpha.pk):
        return signed_in(person("eve@example.com", Role.INVESTOR))


@pytest.mark.parametrize("route", WITH_OBJECT, ids=lambda route: route.name)
def test_object_of_another_broker_looks_like_one_that_does_not_exist(
    route: Route, filled: Filled, charlie: Client
) -> None:
    found = traces(filled)
    for theirs, nobodys in addresses(route, filled.alphas):
        for method in ("get", "post"):
            answer = getattr(charlie, method)(theirs)
            reference = getattr(charlie, method)(nobodys)
            if route.name not in WITHOUT_ROWS:
                assert answer.status_code in {302, 403, 404, 405}, (method, theirs, answer.status_code)
            assert shown(answer) == shown(reference), (method, theirs)
            page = body(answer).replace(theirs, "")
            assert not [trace for trace in found if trace in page and trace not in theirs], theirs


@pytest.mark.parametrize(
    "route", [route for route in ROUTES if not route.parameters], ids=lambda route: route.name
)
def test_page_of_one_broker_shows_nothing_of_another(route: Route, filled: Filled, charlie: Client) -> None:
    if route.name in {"account_logout", "admin:logout"}:
        return
    answer = charlie.get(route.address())
    assert answer.status_code < 500, route.name
    page = body(answer)
    assert not [trace for trace in traces(filled) if trace in page]


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_visitor_is_led_to_the_sign_in_except_on_public_pages(route: Route, filled: Filled) -> None:
    if route.name in SECRETS:
        address = route.address(*["nobodys"] * len(route.parameters))
    elif route.parameters:
        address = next(addresses(route, filled.alphas))[0]
    else:
        address = route.address()
    answer = Client(HTTP_HOST=ALPHA).get(address)
    if route.name in PUBLIC:
        assert answer.status_code < 500
        return
    if answer.status_code == 302:
        assert answer["Location"].startswith(("/accounts/login/", "/admin/login/")), answer["Location"]
    else:
        assert answer.status_code in {401, 403, 404, 405}, answer.status_code


@pytest.mark.parametrize("route", WITH_OBJECT, ids=lambda route: route.name)
def test_things_of_somebody_else_at_the_same_broker_do_not_exist(
    route: Route, filled: Filled, eve: Client
) -> None:
    if route.name in PUBLIC | {"offers:join", "offers:start-by-link"}:
        return
    for theirs, nobodys in addresses(route, filled.alphas):
        for method in ("get", "post"):
            answer = getattr(eve, method)(theirs)
            assert shown(answer) == shown(getattr(eve, method)(nobodys)), (method, theirs)
            # The back office sends whoever is not staff to its door, which refuses; keys ask once more.
            is_led_away = theirs.startswith(("/admin/", "/accounts/2fa/"))
            assert answer.status_code in ({302, 403, 404} if is_led_away else {404, 405}), (method, theirs)


def test_session_of_charlie_is_a_visitor_at_broker_a(filled: Filled, charlie: Client) -> None:
    stolen = Client(HTTP_HOST=ALPHA)
    stolen.cookies["sessionid"] = charlie.cookies["sessionid"].value
    for address in ("/portfolio/", "/manage/", "/admin/"):
        assert stolen.get(address).status_code == 302


@pytest.mark.parametrize(
    "address", ["/portfolio/entries.csv", "/requests.csv", "/statements/statement.csv?period=all"]
)
def test_streamed_table_holds_own_rows_only(address: str, filled: Filled, charlie: Client) -> None:
    bob = signed_in(filled.world.bob)
    assert bob.get(address).status_code == 200
    own, foreign = body(bob.get(address)), body(charlie.get(address))
    own_rows, foreign_rows = set(own.splitlines()[1:]), set(foreign.splitlines()[1:])
    assert not own_rows & foreign_rows or own_rows == foreign_rows == set()
    assert not [trace for trace in traces(filled) if trace in foreign]


def test_brand_of_the_page_is_that_of_its_host(filled: Filled) -> None:
    with broker_scope(filled.world.alpha.pk):
        name = Broker.objects.get().name
    assert name in body(Client(HTTP_HOST=ALPHA).get("/accounts/login/"))
    assert name not in body(Client(HTTP_HOST=BETA).get("/accounts/login/"))
