"""Pictures of a brand: judged by what they are, and written anew."""

import io
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from brokers.images import ICON_SIDE, LOGO_BOX, ImageNotUsable, icon_picture, logo_picture

PNG_HEAD = b"\x89PNG\r\n\x1a\n"


def picture(size: tuple[int, int] = (300, 60), kind: str = "PNG", **options: Any) -> bytes:
    written = io.BytesIO()
    Image.new("RGB", size, "#1f5fbf").save(written, format=kind, **options)
    return written.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_logo_is_fitted_and_becomes_a_png(kind: str) -> None:
    made = logo_picture(picture((1200, 120), kind))
    assert made.content.startswith(PNG_HEAD)
    assert (made.width, made.height) == (480, 48)
    assert made.width <= LOGO_BOX[0]
    assert made.height <= LOGO_BOX[1]


def test_small_logo_stays_as_it_is() -> None:
    assert (logo_picture(picture((60, 20))).width, logo_picture(picture((60, 20))).height) == (60, 20)


def test_icon_is_a_square_with_clear_edges() -> None:
    made = icon_picture(picture((300, 60)))
    assert (made.width, made.height) == (ICON_SIDE, ICON_SIDE)
    corner = Image.open(io.BytesIO(made.content)).getpixel((0, 0))
    assert isinstance(corner, tuple)
    assert corner[3] == 0


def test_nothing_but_the_pixels_is_kept() -> None:
    told = PngImagePlugin.PngInfo()
    told.add_text("Comment", "taken at home <script>")
    made = logo_picture(picture(pnginfo=told) + b"<script>alert(1)</script>")
    assert b"script" not in made.content
    assert b"tEXt" not in made.content


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a picture",
        b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        PNG_HEAD,
        picture()[:150],
        picture(kind="GIF"),
        picture(kind="BMP"),
        picture((8, 8)),
        picture((4001, 20)),
        b"\0" * 1_000_001,
    ],
    ids=["empty", "text", "svg", "head", "cut", "gif", "bmp", "tiny", "huge", "heavy"],
)
def test_what_is_no_usable_picture_is_refused(content: bytes) -> None:
    for made in (logo_picture, icon_picture):
        with pytest.raises(ImageNotUsable) as refused:
            made(content)
        assert refused.value.code == "image_not_usable"
        assert "{" not in str(refused.value)
