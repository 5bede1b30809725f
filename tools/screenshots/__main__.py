"""`python -m tools.screenshots [part of a page's name…]`: every page of the demo as pictures, or those named.

Into `docs/screenshots`, with a README.md that shows them where all were taken; `--language` takes them in
another language, into a folder of its own below that.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pamm_platform.embedded import running_services

if TYPE_CHECKING:
    from tests.every_page.site import Site
    from tools.screenshots.camera import Camera, Shown

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = REPOSITORY / "docs" / "screenshots"
RUN_FOLDER = REPOSITORY / ".run" / "screenshots"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.screenshots", description=__doc__)
    parser.add_argument("names", nargs="*", help="take only pages with one of these in their name")
    parser.add_argument("--language", default="en", help="of the pages, as in LANGUAGES")
    parser.add_argument("--into", type=Path, help="another folder")
    parser.add_argument("--days", type=int, default=365, help="of history")
    arguments = parser.parse_args()
    folder: Path = arguments.into or (FOLDER if arguments.language == "en" else FOLDER / arguments.language)
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["DJANGO_SETTINGS_MODULE"] = "pamm_platform.settings.demo"
    with running_services(RUN_FOLDER, throwaway=True) as services:
        os.environ.update(services.environment())
        import django

        django.setup()
        from tools.screenshots.camera import TALLEST, Camera
        from tools.screenshots.index import write_index
        from tools.screenshots.studio import studio

        with studio(services, days=arguments.days, language=arguments.language) as site:
            camera = Camera(site, folder, _locale(arguments.language))
            wanted = _wanted(arguments.names)
            if not arguments.names:
                for path in folder.glob("*.webp"):
                    path.unlink()
            shown = list(_take(camera, site, wanted))
        if not arguments.names:
            write_index(folder, shown, TALLEST)
    sizes = [path.stat().st_size for path in folder.glob("*.webp")]
    print(f"{len(sizes)} pictures, {sum(sizes) / 2**20:.1f} MB in {folder}")
    return 0


def _wanted(names: list[str]) -> Callable[[str], bool]:
    return lambda name: not names or any(part in name for part in names)


def _take(camera: "Camera", site: "Site", wanted: Callable[[str], bool]) -> Iterator["Shown"]:
    from tools.screenshots.mails import letters
    from tools.screenshots.sections import sections

    for section, pages in sections().items():
        yield from camera.take_pages(section, [page for page in pages if wanted(page.file_name)])
    written = [letter for letter in letters(site.people.newcomer) if wanted(f"e-mail-{letter.name}")]
    yield from camera.take_letters("E-mails", written)


def _locale(language: str) -> str:
    """What a browser of such readers says of itself."""
    return {"en": "en-US", "zh-hans": "zh-CN"}.get(language, language)


if __name__ == "__main__":
    sys.exit(main())
