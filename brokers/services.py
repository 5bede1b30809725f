"""Adding a broker: the platform operator's own act, as the owner of the tables. And its pictures, which are
the broker's.
"""

import hashlib
import re
import zoneinfo
from collections.abc import Sequence

from django.db import IntegrityError, connection, transaction
from django.utils.translation import gettext_lazy as _

from brokers.errors import Refusal
from brokers.images import icon_picture, logo_picture
from brokers.models import BrandImage, Broker, HostName
from brokers.scope import broker_scope

_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?")


class HostNotUsable(Refusal):
    code = "host_not_usable"
    message = _("{host} is not a host name, or answers for another broker already.")


class SlugTaken(Refusal):
    code = "slug_taken"
    status = 409
    message = _("There is a broker {slug} already.")


class UnknownTimeZone(Refusal):
    code = "unknown_time_zone"
    message = _("{time_zone} is not a time zone.")


def add_broker(
    *,
    slug: str,
    name: str,
    hosts: Sequence[str],
    is_platform: bool = False,
    time_zone: str = "UTC",
    colour: str = "#1f5fbf",
) -> Broker:
    """A new broker, answering on `hosts` (with port where it matters), the first of which is its primary one.

    Needs the owner's role: the application may neither add brokers nor decide which host is whose. Raises
    `HostNotUsable`, `SlugTaken`, `UnknownTimeZone`.
    """
    folded = [host.strip().lower() for host in hosts]
    for host in folded:
        if not _HOST.fullmatch(host) or HostName.objects.filter(host=host).exists():
            raise HostNotUsable(host=host)
    if not folded:
        raise HostNotUsable(host="''")
    if time_zone not in zoneinfo.available_timezones():
        raise UnknownTimeZone(time_zone=time_zone)
    broker = Broker(
        pk=_next_id(),
        slug=slug,
        name=name,
        is_platform=is_platform,
        time_zone=time_zone,
        primary_colour=colour,
    )
    broker.clean_fields()
    with broker_scope(broker.pk), transaction.atomic():
        try:
            broker.save(force_insert=True)
        except IntegrityError as error:
            raise SlugTaken(slug=slug) from error
        HostName.objects.bulk_create(
            HostName(host=host, broker_id=broker.pk, is_primary=index == 0)
            for index, host in enumerate(folded)
        )
    return broker


def set_brand_image(*, broker: Broker, kind: BrandImage.Kind, uploaded: bytes) -> None:
    """Take a picture over, in the form in which it is shown. Raises `ImageNotUsable`."""
    picture = icon_picture(uploaded) if kind == BrandImage.Kind.ICON else logo_picture(uploaded)
    version = hashlib.sha256(picture.content).hexdigest()[:12]
    with transaction.atomic():
        BrandImage.objects.update_or_create(kind=kind, defaults={"content": picture.content})
        broker.brand_images[str(kind)] = {
            "version": version,
            "width": picture.width,
            "height": picture.height,
        }
        broker.save(update_fields=["brand_images"])


def remove_brand_image(*, broker: Broker, kind: BrandImage.Kind) -> None:
    """Back to what pages show without one."""
    with transaction.atomic():
        BrandImage.objects.filter(kind=kind).delete()
        broker.brand_images.pop(str(kind), None)
        broker.save(update_fields=["brand_images"])


def _next_id() -> int:
    # Known before the row: a broker is written inside its own scope like everything else.
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval(pg_get_serial_sequence('brokers_broker', 'id'))")
        (broker_id,) = cursor.fetchone()
    return int(broker_id)
