"""Draw the pictures of docs/architecture.md into docs/images: `house.svg` and `data.svg`.

The house's floors are the layers of the import contract in pyproject.toml; the duties are those of
the table on the page. With `--check` nothing is written; the exit code is 1 if a picture is stale.
Each has a light ground of its own, so that it can be read on a light and on a dark page.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Sequence
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[1]
FONT = "font-family='system-ui, sans-serif'"
INK, FAINT, LINE, PAPER, ACCENT = "#17252a", "#52646b", "#2b7a78", "#ffffff", "#def2f1"
WARM = "#fdf0d5"


class Picture:
    """An SVG in the making.

    Args:
        width, height: in pixels.
        title: for those who cannot see it.
    """

    def __init__(self, width: int, height: int, title: str) -> None:
        self._parts = [
            f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' "
            f"width='{width}' height='{height}' role='img' {FONT}>",
            f"<title>{escape(title)}</title>",
            "<defs><marker id='tip' viewBox='0 0 8 8' refX='7' refY='4' markerWidth='7' "
            "markerHeight='7' orient='auto'>"
            f"<path d='M0 0L8 4L0 8z' fill='{LINE}'/></marker></defs>",
            f"<rect width='{width}' height='{height}' rx='10' fill='{PAPER}'/>",
        ]

    def box(self, x: int, y: int, width: int, height: int, fill: str = ACCENT) -> None:
        """A box with round corners."""
        self._parts.append(
            f"<rect x='{x}' y='{y}' width='{width}' height='{height}' rx='6' fill='{fill}' "
            f"stroke='{LINE}' stroke-width='1.5'/>"
        )

    def text(
        self, x: int, y: int, words: str, *, size: int = 14, bold: bool = False, faint: bool = False
    ) -> None:
        """A line of text, centred on x."""
        weight = "600" if bold else "400"
        self._parts.append(
            f"<text x='{x}' y='{y}' text-anchor='middle' font-size='{size}' "
            f"font-weight='{weight}' fill='{FAINT if faint else INK}'>{escape(words)}</text>"
        )

    def arrow(self, points: Sequence[tuple[int, int]], *, dashed: bool = False) -> None:
        """A line through points that ends in a tip."""
        path = "M" + "L".join(f"{x} {y}" for x, y in points)
        dash = " stroke-dasharray='5 4'" if dashed else ""
        self._parts.append(
            f"<path d='{path}' fill='none' stroke='{LINE}' stroke-width='2'{dash} "
            "marker-end='url(#tip)'/>"
        )

    def svg(self) -> str:
        """The file."""
        return "\n".join([*self._parts, "</svg>"]) + "\n"


def layers() -> list[list[str]]:
    """Packages of codecframe, floor by floor from the top."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contract = project["tool"]["importlinter"]["contracts"][0]
    return [floor.split(" | ") for floor in contract["layers"]]


def duties() -> dict[str, str]:
    """What each package is for, from the table on the page."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = page.partition("| package |")[2].partition("\n\n")[0]
    return dict(re.findall(r"^\| `(\w+)/` \| ([^|]+?) \|", table, re.MULTILINE))


def house() -> str:
    """The packages as floors; imports only go down. The plugins stand beside them."""
    floors, known = layers(), duties()
    height, step, left, width = 56 * len(floors) + 110, 56, 20, 620
    picture = Picture(900, height, "The packages of codecframe in layers, and the plugins")
    picture.text(left + width // 2, 30, "codecframe: imports only go down", bold=True)
    for number, floor in enumerate(floors):
        y, each = 46 + number * step, width // len(floor)
        for place, package in enumerate(floor):
            x = left + place * each
            picture.box(x, y, each - 6, step - 8)
            picture.text(x + each // 2 - 3, y + 20, f"{package}/", bold=True)
            words = _fitting(known[package], each)
            picture.text(x + each // 2 - 3, y + 38, words, size=12, faint=True)
    bottom = 46 + len(floors) * step
    picture.box(672, 46, 208, bottom - 54, WARM)
    picture.text(776, 70, "plugins/", bold=True)
    groups = (
        ("formats", "jpeg webp avif jpegxl", "jpeg2000 heic png"),
        ("heads", "onnx torch callable", "efficientnet"),
        ("learned codec", "vae: runtime entropy", "training bottleneck bench"),
        ("server and camera", "serving: serve, send"),
        ("yours", "an entry point in", "the group codecframe"),
    )
    y = 96
    for title, *lines in groups:
        picture.text(776, y, title, size=13, bold=True)
        for line in lines:
            y += 17
            picture.text(776, y, line, size=12, faint=True)
        y += 25
    picture.arrow([(672, bottom - 30), (638, bottom - 30)])
    picture.text(
        450, bottom + 20, "Plugins use public names only; codecframe finds them by", size=13
    )
    picture.text(450, bottom + 40, "entry points and imports none of them.", size=13)
    return picture.svg()


def _fitting(words: str, width: int) -> str:
    """As much of a duty as fits into a box, up to a colon or else a comma."""
    for mark in (":", ";", "("):
        words = words if len(words) * 6.1 < width else words.partition(mark)[0].strip()
    while len(words) * 6.1 > width:
        words = words.rpartition(",")[0]
    return words


def data() -> str:
    """The way of an image to a prediction, and of a budget to settings."""
    picture = Picture(900, 396, "The way of the data: image, data, payload, data, prediction")
    picture.box(14, 50, 410, 200, WARM)
    picture.text(219, 74, "sending end", size=13, bold=True)
    picture.box(476, 50, 410, 318, WARM)
    picture.text(681, 74, "receiving end", size=13, bold=True)

    def node(x: int, y: int, words: str, note: str, width: int = 108) -> None:
        picture.box(x - width // 2, y - 24, width, 50)
        picture.text(x, y - 2, words, bold=True)
        picture.text(x, y + 16, note, size=11, faint=True)

    picture.text(450, 28, "image to prediction", bold=True)
    node(80, 130, "image", "uint8 RGB")
    node(224, 130, "data", "standard file")
    node(360, 130, "payload", "crosses the link")
    node(544, 130, "data", "bit for bit")
    node(690, 130, "pixels", "uint8 RGB")
    node(690, 226, "latents", "int32")
    node(824, 176, "prediction", "scores", 112)
    picture.arrow([(136, 130), (168, 130)])
    picture.arrow([(280, 130), (304, 130)])
    picture.arrow([(416, 130), (488, 130)])
    picture.arrow([(600, 130), (634, 130)])
    picture.arrow([(572, 156), (572, 226), (634, 226)])
    picture.arrow([(746, 130), (824, 130), (824, 150)])
    picture.arrow([(746, 226), (824, 226), (824, 204)])
    for x, y, words in (
        (152, 118, "encode"),
        (292, 118, "strip"),
        (452, 118, "restore"),
        (617, 118, "decode"),
        (790, 120, "head"),
        (790, 246, "head"),
        (628, 186, "decode_latents"),
    ):
        picture.text(x, y - 14 if y == 118 else y, words, size=12)
    node(80, 220, "budget", "bytes")
    node(224, 220, "settings", "knob level")
    picture.arrow([(136, 220), (168, 220)])
    picture.text(152, 244, "rate", size=12)
    picture.arrow([(224, 194), (224, 158)])
    node(544, 330, "profile", "rate and score", 112)
    node(690, 330, "select", "paired statistics", 112)
    node(824, 330, "choice", "codec, settings", 112)
    picture.arrow([(602, 330), (632, 330)])
    picture.arrow([(748, 330), (766, 330)])
    picture.arrow([(860, 204), (860, 276), (544, 276), (544, 304)], dashed=True)
    picture.text(660, 292, "scores of many images", size=12)
    picture.arrow([(824, 356), (824, 382), (224, 382), (224, 248)], dashed=True)
    picture.text(340, 372, "the choice sets the sending end", size=12)
    return picture.svg()


def main() -> int:
    """Write or check both."""
    stale = []
    for name, drawn in (("house", house()), ("data", data())):
        path = ROOT / "docs" / "images" / f"{name}.svg"
        if not path.exists() or path.read_text(encoding="utf-8") != drawn:
            stale.append(path.name)
            if "--check" not in sys.argv:
                path.write_text(drawn, encoding="utf-8", newline="\n")
    for name in stale:
        print("stale:" if "--check" in sys.argv else "written:", name)
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
