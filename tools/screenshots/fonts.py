"""Fonts of the pictures: the project's own packages, so that every machine draws the same letters."""

from pathlib import Path

from tools.front_end import NODE_MODULES

PACKAGES = NODE_MODULES / "@expo-google-fonts"
WEIGHTS = ("400Regular", "500Medium", "600SemiBold", "700Bold")
FAMILIES = {"Inter": "inter", "Noto Sans SC": "noto-sans-sc"}

CONFIGURATION = """\
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <include ignore_missing="yes">/etc/fonts/fonts.conf</include>
  {folders}
  <cachedir>{cache}</cachedir>
  {aliases}
</fontconfig>
"""
ALIAS = """<match target="pattern"><test name="family"><string>{asked}</string></test>
  <edit name="family" mode="prepend" binding="strong">{families}</edit></match>"""
ASKED = ("sans-serif", "system-ui", "Helvetica Neue", "Arial", "Helvetica", "Roboto", "Segoe UI")


def font_configuration(folder: Path) -> Path:
    """A file for `FONTCONFIG_FILE`: the machine's sans-serif is Inter, and Noto Sans SC for Chinese."""
    folders = [PACKAGES / package / weight for package in FAMILIES.values() for weight in WEIGHTS]
    families = "".join(f"<string>{family}</string>" for family in FAMILIES)
    path = folder / "fonts.conf"
    path.write_text(
        CONFIGURATION.format(
            folders="\n  ".join(f"<dir>{each}</dir>" for each in folders),
            cache=folder / "font-cache",
            aliases="\n  ".join(ALIAS.format(asked=asked, families=families) for asked in ASKED),
        )
    )
    return path
