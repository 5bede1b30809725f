"""What of a broker others draw: its shades, its pictures, its words below an e-mail; who may frame its
widgets.
"""

import hashlib
import re
from dataclasses import dataclass

from django.urls import reverse

from brokers.models import BrandImage, Broker
from brokers.palette import Palette, is_colour, palette

_ORIGIN = re.compile(
    r"https://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?|http://(localhost|127\.0\.0\.1)(:[0-9]{1,5})?"
)
DEFAULT_COLOUR = "#1f5fbf"


@dataclass(frozen=True, slots=True)
class Logo:
    """Address (its version in it) and size at which it is shown: half its pixels, for sharp screens."""

    url: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class EmailLook:
    """What an e-mail needs, which can neither load a style sheet nor follow a theme.

    Text in `on_fill` on `fill`; links in `ink`, on white. The logo's address is absolute, empty without one.
    """

    name: str
    fill: str
    on_fill: str
    ink: str
    logo_url: str
    logo_width: int
    logo_height: int
    footer: str


def is_widget_host(origin: str) -> bool:
    """Whether it names one site and nothing else: it is written into a policy."""
    return _ORIGIN.fullmatch(origin) is not None


def shades_of(broker: Broker) -> Palette:
    """Of its colour; of the platform's where the row holds something else."""
    return palette(broker.primary_colour if is_colour(broker.primary_colour) else DEFAULT_COLOUR)


def logo_of(broker: Broker, kind: BrandImage.Kind = BrandImage.Kind.LOGO) -> Logo | None:
    """None where no such picture was given. No statement: the broker's row says what there is."""
    known = broker.brand_images.get(str(kind))
    if known is None:
        return None
    address = reverse("brokers:brand-image", args=[str(kind)])
    return Logo(
        url=f"{address}?v={known['version']}",
        width=max(round(known["width"] / 2), 1),
        height=max(round(known["height"] / 2), 1),
    )


def icon_url_of(broker: Broker) -> str:
    """The browser's tab: the broker's own icon, else the platform's mark in its colour."""
    known = broker.brand_images.get(str(BrandImage.Kind.ICON))
    version = known["version"] if known else style_version(broker)
    return f"{reverse('brokers:brand-icon')}?v={version}"


def style_version(broker: Broker) -> str:
    """Changes when the brand's style sheet does."""
    return hashlib.sha256(str(shades_of(broker)).encode()).hexdigest()[:12]


def email_look(broker: Broker, site: str) -> EmailLook:
    """`site` is the broker's address without a slash at its end: `https://invest.example.com`."""
    shades, logo = shades_of(broker), logo_of(broker)
    return EmailLook(
        name=broker.name,
        fill=shades.fill,
        on_fill=shades.on_fill,
        ink=shades.ink_on_light,
        logo_url=f"{site}{logo.url}" if logo else "",
        logo_width=logo.width if logo else 0,
        logo_height=logo.height if logo else 0,
        footer=broker.email_footer,
    )
