"""A broker's brand on its pages: shades, logos, icon; each with an ETag, none of another broker."""

import io
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from PIL import Image

from accounts.models import Role
from brokers.brand import email_look, is_widget_host, logo_of
from brokers.models import BrandImage, Broker
from brokers.palette import TEXT_CONTRAST, contrast
from brokers.scope import broker_scope
from brokers.services import remove_brand_image, set_brand_image
from brokers.web.design import TOKENS
from tests.databases import REPOSITORY
from tests.worlds import broker_called, person, signed_in


def png(colour: str = "#1f5fbf", size: tuple[int, int] = (240, 48)) -> bytes:
    written = io.BytesIO()
    Image.new("RGB", size, colour).save(written, format="PNG")
    return written.getvalue()


@pytest.fixture
def alpha(db: None) -> Iterator[Broker]:
    made = broker_called("alpha")
    broker_called("beta")
    with broker_scope(made.pk):
        yield Broker.objects.get()


@pytest.fixture
def visitor(alpha: Broker) -> Client:
    return Client(HTTP_HOST="alpha.localhost")


def test_style_sheet_has_the_shades_and_an_etag(alpha: Broker, visitor: Client) -> None:
    alpha.primary_colour = "#ffd400"
    alpha.save()
    sheet = visitor.get("/brand.css")
    assert sheet["Content-Type"].startswith("text/css")
    assert b"--brand:#ffd400" in sheet.content
    assert b"--brand-text:#101828" in sheet.content
    assert visitor.get("/brand.css", HTTP_IF_NONE_MATCH=sheet["ETag"]).status_code == 304
    alpha.primary_colour = "#101010"
    alpha.save()
    assert visitor.get("/brand.css", HTTP_IF_NONE_MATCH=sheet["ETag"]).status_code == 200


def test_colour_that_is_none_never_reaches_the_style_sheet(alpha: Broker, visitor: Client) -> None:
    Broker.objects.update(primary_colour="red;}")
    assert b"red" not in visitor.get("/brand.css").content


def test_page_shows_logo_on_light_and_on_dark(alpha: Broker, visitor: Client) -> None:
    page = visitor.get("/").content.decode()
    assert "brand-logo" not in page
    assert "brand-mark" in page
    set_brand_image(broker=alpha, kind=BrandImage.Kind.LOGO, uploaded=png())
    page = visitor.get("/").content.decode()
    assert page.count("brand-logo") == 1
    assert 'width="120" height="24" alt="Alpha"' in page
    set_brand_image(broker=alpha, kind=BrandImage.Kind.LOGO_DARK, uploaded=png("#ffffff"))
    page = visitor.get("/").content.decode()
    assert page.count("brand-logo on-light") == page.count("brand-logo on-dark") == 1
    remove_brand_image(broker=alpha, kind=BrandImage.Kind.LOGO)
    assert "brand-mark" in visitor.get("/").content.decode()


def test_logo_costs_a_page_no_statement(alpha: Broker, visitor: Client) -> None:
    with CaptureQueriesContext(connection) as without:
        visitor.get("/")
    set_brand_image(broker=alpha, kind=BrandImage.Kind.LOGO, uploaded=png())
    with CaptureQueriesContext(connection) as with_logo:
        visitor.get("/")
    assert len(with_logo) == len(without)


def test_picture_is_kept_by_caches_until_it_changes(alpha: Broker, visitor: Client) -> None:
    set_brand_image(broker=alpha, kind=BrandImage.Kind.LOGO, uploaded=png())
    logo = logo_of(alpha)
    assert logo is not None
    answer = visitor.get(logo.url)
    assert answer["Content-Type"] == "image/png"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "immutable" in answer["Cache-Control"]
    assert not answer.cookies
    assert visitor.get(logo.url, HTTP_IF_NONE_MATCH=answer["ETag"]).status_code == 304
    set_brand_image(broker=alpha, kind=BrandImage.Kind.LOGO, uploaded=png("#00ff00"))
    changed = logo_of(alpha)
    assert changed is not None
    assert changed.url != logo.url
    assert visitor.get(changed.url, HTTP_IF_NONE_MATCH=answer["ETag"]).status_code == 200


def test_icon_is_the_mark_in_the_brands_colour_until_there_is_one(alpha: Broker, visitor: Client) -> None:
    alpha.primary_colour = "#ffd400"
    alpha.save()
    mark = visitor.get("/brand/icon/")
    assert mark["Content-Type"] == "image/svg+xml"
    assert b'fill="#ffd400"' in mark.content
    set_brand_image(broker=alpha, kind=BrandImage.Kind.ICON, uploaded=png(size=(64, 64)))
    icon = visitor.get("/brand/icon/", HTTP_IF_NONE_MATCH=mark["ETag"])
    assert icon["Content-Type"] == "image/png"


@pytest.mark.parametrize("address", ["/brand/logo.png", "/brand/nothing.png", "/brand/..%2Flogo.png"])
def test_picture_that_is_not_there_is_not_found(visitor: Client, address: str) -> None:
    assert visitor.get(address).status_code == 404


def test_picture_of_one_broker_is_not_at_the_other(alpha: Broker, visitor: Client) -> None:
    set_brand_image(broker=alpha, kind=BrandImage.Kind.LOGO, uploaded=png())
    assert visitor.get("/brand/logo.png").status_code == 200
    assert Client(HTTP_HOST="beta.localhost").get("/brand/logo.png").status_code == 404


def test_email_look_can_be_read_and_names_addresses_in_full(alpha: Broker) -> None:
    set_brand_image(broker=alpha, kind=BrandImage.Kind.LOGO, uploaded=png())
    look = email_look(alpha, "https://alpha.example")
    assert look.logo_url.startswith("https://alpha.example/brand/logo.png?v=")
    assert (look.logo_width, look.logo_height, look.on_fill) == (120, 24, "#ffffff")


@pytest.mark.parametrize(
    ("origin", "is_one"),
    [
        ("https://www.example.com", True),
        ("https://example.com:8443", True),
        ("http://localhost:8000", True),
        ("http://example.com", False),
        ("https://example.com/", False),
        ("https://*", False),
        ("https://example.com; script-src *", False),
        ("'self'", False),
        ("*", False),
    ],
)
def test_widget_host_is_one_site_and_nothing_else(origin: str, is_one: bool) -> None:
    assert is_widget_host(origin) is is_one


def test_design_page_shows_each_ink_with_its_contrast_and_only_where_it_is_wanted(
    visitor: Client, settings: Any
) -> None:
    page = visitor.get("/design/")
    for ink in page.context["inks"]:
        assert contrast(ink.colour, ink.surface) >= TEXT_CONTRAST, ink
    assert visitor.post("/design/sheet/")["Location"] == "/design/"
    settings.SHOWS_DESIGN_PAGE = False
    assert visitor.get("/design/").status_code == visitor.get("/design/sheet/").status_code == 404


def test_inks_of_the_design_page_are_those_of_the_style_sheet() -> None:
    sheet = (REPOSITORY / "assets" / "css" / "cabinet.css").read_text()
    for selector, theme in ((":root", "light"), ('[data-bs-theme="dark"]', "dark")):
        rules = sheet.partition(f"\n{selector} {{")[2].partition("}")[0]
        for name, colour in TOKENS[theme].items():
            assert f"--{name}: {colour};" in rules, (theme, name)


class TestBackOffice:
    """The administrator edits the brand; what pages could not work with is refused at its field."""

    @pytest.fixture
    def admin(self, alpha: Broker) -> Client:
        return signed_in(person("admin@example.com", Role.ADMIN))

    @pytest.fixture
    def address(self, alpha: Broker) -> str:
        return reverse("admin:brokers_broker_change", args=[alpha.public_id])

    FIELDS = {
        "name": "Alpha", "time_zone": "UTC", "language": "en", "primary_colour": "#112233",
        "email_sender": "", "freeze_minutes": "0", "quiet_minutes": "5", "stale_tick_seconds": "300",
        "floating_tolerance": "0.001", "foreign_limit": "10.00", "performance_fee_ceiling": "0.5",
        "management_fee_ceiling": "0.05",
        "entry_fee_ceiling": "0.1", "early_exit_fee_ceiling": "0.2", "fee_share_rate": "0",
    }  # fmt: skip

    def test_logo_is_taken_and_removed_again(self, admin: Client, address: str) -> None:
        upload = SimpleUploadedFile("logo.png", png(), content_type="image/png")
        assert admin.post(address, self.FIELDS | {"logo": upload}).status_code == 302
        assert BrandImage.objects.get().kind == BrandImage.Kind.LOGO
        assert "/brand/logo.png?v=" in admin.get(address).content.decode()
        assert admin.post(address, self.FIELDS | {"removed_images": ["logo"]}).status_code == 302
        assert not BrandImage.objects.exists()
        assert Broker.objects.get().brand_images == {}

    def test_picture_is_judged_by_its_content_and_not_by_its_name(self, admin: Client, address: str) -> None:
        upload = SimpleUploadedFile("logo.png", b"<svg onload='alert(1)'/>", content_type="image/png")
        answer = admin.post(address, self.FIELDS | {"logo": upload})
        assert answer.status_code == 200
        assert "Only pictures in PNG, JPEG or WebP are taken." in answer.content.decode()
        assert not BrandImage.objects.exists()

    def test_sites_with_widgets_are_addresses_only(self, admin: Client, address: str) -> None:
        sites = "https://www.example.com https://partner.example:8443"
        assert admin.post(address, self.FIELDS | {"widget_hosts": sites}).status_code == 302
        assert Broker.objects.get().widget_hosts == sites.split()
        assert admin.post(address, self.FIELDS | {"widget_hosts": "https://a.example; *"}).status_code == 200
        assert Broker.objects.get().widget_hosts == sites.split()

    def test_shades_are_shown_with_their_contrast(self, admin: Client, address: str) -> None:
        admin.post(address, self.FIELDS | {"primary_colour": "#FFD400"})
        assert Broker.objects.get().primary_colour == "#ffd400"
        assert "brand-shade" in admin.get(address).content.decode()
