"""`python -m tools.chromium`: print the path of a Chromium that runs here, installing one if need be.

The ladder: one that is there, Playwright's own download, the npm package `@sparticuz/chromium` (built for
bare machines: brings its libraries and fonts), apt under root. A rung counts when the browser renders a page.
"""

import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

from tools.front_end import NODE_MODULES, REPOSITORY, node_command, npm

FOLDER = REPOSITORY / ".run" / "chromium"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "headless_shell")
APPLICATIONS = (
    Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"),
    Path("/Applications/Chromium.app/Contents/MacOS/Chromium"),
)
COMMAND_TO_RUN = "sudo apt-get install -y chromium    (macOS: brew install --cask chromium)"

RENDER = """
import sys
from playwright.sync_api import sync_playwright
with sync_playwright() as playwright:
    browser = playwright.chromium.launch(
        executable_path=sys.argv[1], args=["--no-sandbox", "--disable-dev-shm-usage"], timeout=20_000
    )
    page = browser.new_page()
    page.set_content("<p></p><script>document.querySelector('p').textContent = 'ren' + 'dered'</script>")
    print(page.inner_text("p"))
    browser.close()
"""

UNPACK = """
const fs = require("fs"), { createBrotliDecompress } = require("zlib"), { pipeline } = require("stream");
const [source, target] = process.argv.slice(-2);
const done = (error) => { if (error) { console.error(error); process.exit(1); } };
pipeline(fs.createReadStream(source), createBrotliDecompress(), fs.createWriteStream(target), done);
"""


def chromium() -> Path:
    """A Chromium that renders a page. Raises SystemExit with the command to run when there is none."""
    for rung in (_known, _on_the_machine, _of_playwright, _of_npm, _of_apt):
        for candidate in rung():
            if renders(candidate):
                FOLDER.mkdir(parents=True, exist_ok=True)
                (FOLDER / "path").write_text(str(candidate))
                return candidate
    raise SystemExit(f"No Chromium runs on this machine. Install one and start again:\n    {COMMAND_TO_RUN}")


def renders(browser: Path) -> bool:
    """Whether Playwright can drive it here; a binary alone proves nothing (missing libraries, snap stubs)."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", RENDER, str(browser)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.stdout.strip() == "rendered"


def _known() -> Iterator[Path]:
    if named := os.environ.get("CHROMIUM_PATH"):
        yield Path(named)
    if (FOLDER / "path").exists():
        yield Path((FOLDER / "path").read_text())


def _on_the_machine() -> Iterator[Path]:
    for name in NAMES:
        if found := shutil.which(name):
            yield Path(found)
    yield from (path for path in APPLICATIONS if path.exists())


def _of_playwright() -> Iterator[Path]:
    if not _succeeds(
        [sys.executable, "-m", "playwright", "install", "chromium", "--only-shell"], seconds=180
    ):
        return
    program = (
        "from playwright.sync_api import sync_playwright\n"
        "with sync_playwright() as playwright:\n"
        "    print(playwright.chromium.executable_path)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        # It names the full browser even when only the headless shell is installed.
        cache = Path(done.stdout.strip()).parents[2]
        yield from sorted(cache.glob("chromium_headless_shell-*/*/*headless*shell"), reverse=True)


def _of_npm() -> Iterator[Path]:
    if sys.platform != "linux":
        return
    try:
        npm("ci", "--ignore-scripts")
    except subprocess.CalledProcessError:
        return
    archives = NODE_MODULES / "@sparticuz" / "chromium" / "bin"
    FOLDER.mkdir(parents=True, exist_ok=True)
    _brotli(archives / "chromium.br", FOLDER / "browser")
    (FOLDER / "browser").chmod(0o755)
    for name in ("al2023", "fonts", "swiftshader"):
        folder = FOLDER / (name if name != "swiftshader" else "")
        _brotli(archives / f"{name}.tar.br", FOLDER / f"{name}.tar")
        with tarfile.open(FOLDER / f"{name}.tar") as archive:
            archive.extractall(folder, filter="data")
        (FOLDER / f"{name}.tar").unlink()
    # The machine's own libraries first: the package's are older and there for machines without any.
    yield _wrapper("with-own-libraries", library_folder=None)
    yield _wrapper("with-bundled-libraries", library_folder=FOLDER / "al2023" / "lib")


def _of_apt() -> Iterator[Path]:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "--quiet", "--yes", "--no-install-recommends", "chromium"]
    if _succeeds(["apt-get", "update", "--quiet"], environment) and _succeeds(install, environment):
        yield from _on_the_machine()


def _wrapper(name: str, library_folder: Path | None) -> Path:
    path = FOLDER / name
    libraries = f"export LD_LIBRARY_PATH='{library_folder}'\n" if library_folder else ""
    fonts = f"[ -d /etc/fonts ] || export FONTCONFIG_PATH='{FOLDER / 'fonts'}'\n"
    path.write_text(f"#!/bin/sh\n{libraries}{fonts}exec '{FOLDER / 'browser'}' \"$@\"\n")
    path.chmod(0o755)
    return path


def _brotli(source: Path, target: Path) -> None:
    subprocess.run([*node_command(), "-e", UNPACK, "--", str(source), str(target)], check=True)


def _succeeds(command: list[str], environment: dict[str, str] | None = None, seconds: float = 600) -> bool:
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=seconds,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


if __name__ == "__main__":
    print(chromium())
