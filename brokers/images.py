"""A broker's pictures as they come from outside: judged by their content, and written anew.

What is kept is a PNG that Pillow made from the pixels alone: no metadata, no second file behind the first, no
script. SVG is refused: it is a program.
"""

import io
import warnings
from dataclasses import dataclass

from django.utils.translation import gettext_lazy as _
from PIL import Image, ImageOps, UnidentifiedImageError

from brokers.errors import Refusal

FORMATS = ("PNG", "JPEG", "WEBP")
MOST_BYTES = 1_000_000
SMALLEST_SIDE, LARGEST_SIDE = 16, 4000
#: Twice the size at which pages show it, for sharp screens.
LOGO_BOX = (480, 96)
ICON_SIDE = 128


class ImageNotUsable(Refusal):
    code = "image_not_usable"
    message = _("{reason}")


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG with its size in pixels."""

    content: bytes
    width: int
    height: int


def logo_picture(uploaded: bytes) -> Picture:
    """Fitted into the box of a logo. Raises `ImageNotUsable`."""
    image = _opened(uploaded)
    image.thumbnail(LOGO_BOX, Image.Resampling.LANCZOS)
    return _png(image)


def icon_picture(uploaded: bytes) -> Picture:
    """A square for the browser's tab, with clear edges where it was none. Raises `ImageNotUsable`."""
    image = _opened(uploaded)
    return _png(
        ImageOps.pad(image, (ICON_SIDE, ICON_SIDE), method=Image.Resampling.LANCZOS, color=(255, 255, 255, 0))
    )


def _opened(uploaded: bytes) -> Image.Image:
    """The first picture of the file, upright, in colours with transparency."""
    if len(uploaded) > MOST_BYTES:
        raise ImageNotUsable(reason=_("The file is larger than 1 MB."))
    try:
        with warnings.catch_warnings():
            # A small file may claim to be a picture that fills the memory.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(uploaded), formats=FORMATS)
            if not all(SMALLEST_SIDE <= side <= LARGEST_SIDE for side in image.size):
                raise ImageNotUsable(reason=_("Each side has to be between 16 and 4000 pixels long."))
            return ImageOps.exif_transpose(image).convert("RGBA")
    except (UnidentifiedImageError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageNotUsable(reason=_("Only pictures in PNG, JPEG or WebP are taken.")) from error
    except (OSError, SyntaxError, ValueError) as error:
        raise ImageNotUsable(reason=_("The picture is damaged.")) from error


def _png(image: Image.Image) -> Picture:
    written = io.BytesIO()
    image.save(written, format="PNG", optimize=True)
    return Picture(written.getvalue(), image.width, image.height)
