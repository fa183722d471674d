"""Fill the generated parts of README.md and docs/*.md.

A part stands between `<!-- generated: KIND ARGUMENT -->` and `<!-- end -->`:

* `commands all`: the `--help` of every command;
* `file PATH`: a file of this repository, as a code block;
* `plugin NAME`: the README of a bundled plugin;
* `preprocess fields`: a table of the fields of `Preprocess`;
* `reference names`: a table of all public names, then each with its docstring (mkdocstrings);
* `results NAME`: accuracies at round rates from recipes/results/NAME.json;
* `table NAME [COLUMN ...]`: all rows of recipes/results/NAME.json, and how they were made;
* `times NAME`: its encode and decode times;
* `training KIND`: the fields of training recipes of that kind;
* `tuned NAME [RATE ...]`: what its settings gain over their codec's defaults, at all rates or near
  those.

Plots under docs/images whose names recipes/results has are copied from there.

With `--check` nothing is written; the exit code is 1 if a part or a plot is stale.
"""

from __future__ import annotations

import ast
import json
import math
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PART = re.compile(
    r"(?P<start><!-- generated: (?P<kind>\w+) (?P<argument>[^>]+?) -->\n)"
    r".*?"
    r"(?P<end><!-- end -->)",
    re.DOTALL,
)
LANGUAGES = {".py": "python", ".toml": "toml", ".md": "markdown", ".yaml": "yaml"}
RATES = (0.1, 0.2, 0.4, 0.8, 1.2, 2.0)
"""Columns of a results table, in bits per pixel, as far as there is anything near them."""

TRAININGS = {
    "clean": "classifier of clean images",
    "retrained": "classifier retrained on it",
    "adapted": "head adapted to it",
    "joint": "trained with its classifier",
}


def commands(_: str) -> str:
    """The `--help` of codecframe and of each of its commands, under headings."""
    import click

    from codecframe.cli.main import cli

    settings = {**cli.context_settings, "terminal_width": 96}
    with click.Context(cli, info_name="codecframe", **settings) as parent:
        parts = [f"## codecframe\n\n{_fenced('text', cli.get_help(parent))}"]
        for name in cli.list_commands(parent):
            command = cli.get_command(parent, name)
            if command is None:
                raise SystemExit(f"no command {name!r}")
            context = click.Context(command, info_name=name, parent=parent, terminal_width=96)
            text = _fenced("text", command.get_help(context))
            parts.append(f"## codecframe {name}\n\n{text}")
            parts += _subcommands(command, context, f"codecframe {name}")
    return "\n".join(parts)


def _subcommands(command: Any, parent: Any, title: str) -> list[str]:
    """The `--help` of the commands of a group, under headings; none of a plain command."""
    import click

    parts = []
    for name, one in sorted(getattr(command, "commands", {}).items()):
        context = click.Context(one, info_name=name, parent=parent, terminal_width=96)
        parts.append(f"### {title} {name}\n\n{_fenced('text', one.get_help(context))}")
    return parts


def file(path: str) -> str:
    """A file, as a code block."""
    text = (ROOT / path).read_text(encoding="utf-8")
    title = path.removeprefix("examples/")
    return _fenced(f'{LANGUAGES[Path(path).suffix]} title="{title}"', text)


def plugin(name: str) -> str:
    """A bundled plugin's README without its title, other headings one level down."""
    text = (ROOT / "plugins" / f"codecframe_{name}" / "README.md").read_text(encoding="utf-8")
    _, _, text = text.partition("\n")
    return "\n" + re.sub(r"^#", "##", text, flags=re.MULTILINE).strip() + "\n\n"


def preprocess(_: str) -> str:
    """The fields of `Preprocess`."""
    from codecframe import Preprocess

    return _fields(Preprocess.fields())


def training(kind: str) -> str:
    """The fields of a training recipe; of others than a codec's, those that it has not, or has with
    another default.
    """
    from codecframe.core import registry

    def infos(kind: str) -> dict[str, Any]:
        settings = registry.default().trainer(kind).settings_type
        return {info.name: info for info in settings.fields()}

    found, known = infos(kind), {} if kind == "vae" else infos("vae")
    new = [
        info
        for name, info in found.items()
        if name not in known or known[name].default != info.default
    ]
    return _fields(new)


def _fields(infos: Iterable[Any]) -> str:
    """A table of fields of settings."""
    lines = ["| field | default | takes | |", "| --- | --- | --- | --- |"]
    for info in infos:
        cells = [f"`{info.name}`", f"`{json.dumps(info.default)}`", info.expected, info.option.help]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def reference(_: str) -> str:
    """A table of the public names, then each name as mkdocstrings shows it, module by module.

    The names are those of `codecframe/__init__.pyi`, in its order, then those of the modules in the
    table of docs/plugin-tutorial.md.
    """
    sections = [*public_names().items(), *documented_modules().items()]
    lines = ["| module | names |", "| --- | --- |"]
    parts = []
    for module, names in sections:
        links = ", ".join(f"[`{name.rpartition('.')[2]}`][{name}]" for name in names)
        short = module.removeprefix("codecframe.")
        lines.append(f"| [`{short}`](#{module.replace('.', '')}) | {links} |")
        parts += [f"## `{module}`", *(f"::: {name}" for name in names)]
    return "\n".join([*lines, ""]) + "\n" + "\n\n".join(parts) + "\n\n"


def public_names() -> dict[str, list[str]]:
    """The names that `codecframe` offers, by the module that has them."""
    stub = ast.parse((ROOT / "codecframe" / "__init__.pyi").read_text(encoding="utf-8"))
    found: dict[str, list[str]] = {}
    for node in stub.body:
        if isinstance(node, ast.ImportFrom):
            names = found.setdefault(f"codecframe.{node.module}", [])
            names += [f"codecframe.{alias.asname or alias.name}" for alias in node.names]
    return found


def documented_modules() -> dict[str, list[str]]:
    """The names that plugins may import from submodules, by module."""
    page = (ROOT / "docs" / "plugin-tutorial.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(codecframe\.[\w.]+)` \|(.*?)\|", page, re.MULTILINE)
    return {
        module: [f"{module}.{name}" for name in re.findall(r"`(\w+)`", names)]
        for module, names in rows
    }


def results(name: str) -> str:
    """A result's accuracies: for each codec the measured points nearest to round rates."""
    by_codec = _by_codec(name)
    rows = [row for measured in by_codec.values() for row in measured]
    rates = [r for r in RATES if any(_near(found, r) != "-" for found in by_codec.values())]
    head = ["codec", *(f"{rate:g} bpp" for rate in rates)]
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * len(rates)]
    lossless = []
    for codec, measured in by_codec.items():
        if len(measured) == 1:
            lossless += measured
            continue
        cells = [_near(measured, rate) for rate in rates]
        lines.append(f"| {codec} | " + " | ".join(cells) + " |")
    widest = max(row["high"] - row["low"] for row in rows)
    note = f"{rows[0]['n']} images; 95 % intervals reach at most ±{50 * widest:.1f} points."
    for row in lossless:
        note += f" Uncompressed: {100 * row['top1']:.1f} % ({row['codec']}: {row['bpp']:.1f} bpp)."
    return "\n".join([*lines, "", note]) + "\n"


def times(name: str) -> str:
    """A result's encode and decode times at the measured point nearest to 0.8 bits per pixel."""
    lines = [
        "| codec | bpp | encode µs | decode µs | encode, times JPEG |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    near = {
        codec: min(measured, key=lambda row: abs(row["bpp"] - 0.8))
        for codec, measured in _by_codec(name).items()
    }
    for codec, row in sorted(near.items(), key=lambda pair: pair[1]["encode_us"]):
        ratio = row["encode_us"] / near["jpeg"]["encode_us"]
        lines.append(
            f"| {codec} | {row['bpp']:.2f} | {row['encode_us']:.0f} | {row['decode_us']:.0f} "
            f"| {ratio:.0f} |"
        )
    return "\n".join(lines) + "\n"


def table(argument: str) -> str:
    """A result's rows, of all columns or of those that are named after it, its notes below."""
    name, *chosen = argument.split()
    result = _result(name)
    rows = result["rows"]
    columns = chosen or [k for k in rows[0] if any(row[k] not in ("", None) for row in rows)]
    numbers = {key for key in columns if all(isinstance(row[key], int | float) for row in rows)}
    lines = [
        "| " + " | ".join(key.replace("_", " ") for key in columns) + " |",
        "|" + "|".join(" ---: " if key in numbers else " --- " for key in columns) + "|",
        *("| " + " | ".join(_cell(row[key]) for key in columns) + " |" for row in rows),
    ]
    made = f"`{result['command']}`, {result['date']}, {result['machine']}."
    return "\n".join([*lines, "", f"{made} {result['notes']}"]) + "\n"


def tuned(argument: str) -> str:
    """What settings gain over their codec's defaults, at each rate or at those that are named."""
    name, *rates = argument.split()
    result = _result(name)
    rows = [row for row in result["rows"] if "defaults" in row]
    if rates:
        near = [
            _nearest(measured, float(r)) for measured in _by_codec(name).values() for r in rates
        ]
        rows = [row for row in rows if row in near]
    lines = [
        "| codec | head | bpp | top-1 % | points more at the same bits | bits saved, same top-1 |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        more, saved = row["defaults"]["more"], row["defaults"]["saved"]
        lines.append(
            f"| {_variant(row)} | {row['head']} | {row['bpp']:.2f} | {100 * row['top1']:.1f} "
            f"| {_interval(more)} | {_interval(saved, ' %')} |"
        )
    made = f"`{result['command']}`, {rows[0]['data']}, {rows[0]['n']:,} images; 95 % intervals."
    return "\n".join([*lines, "", made]) + "\n"


def _variant(row: dict[str, Any]) -> str:
    """Codec and settings, without what tells heads apart."""
    return str(row["label"].partition(f" {row['training']}")[0])


def _interval(found: list[float] | None, unit: str = "") -> str:
    if found is None:
        return "-"
    value, low, high = (100 * one for one in found)
    return f"{value:.1f}{unit} ({low:.1f} to {high:.1f})"


def _result(name: str) -> dict[str, Any]:
    """recipes/results/NAME.json."""
    text = (ROOT / "recipes" / "results" / f"{name}.json").read_text()
    result: dict[str, Any] = json.loads(text)
    return result


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "**no**"
    if isinstance(value, int | float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return "" if value is None else str(value)


def _by_codec(name: str) -> dict[str, list[dict[str, Any]]]:
    """The rows of recipes/results/NAME.json by codec variant."""
    rows = _result(name)["rows"]
    trainings: dict[str, set[str]] = {}
    for row in rows:
        trainings.setdefault(row["codec"], set()).add(row["training"])
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        name = _variant(row)
        if len(trainings[row["codec"]]) > 1:
            _, _, more = row["label"].partition(f" {row['training']}")
            name += f", {TRAININGS[row['training']]}{more}"
        found.setdefault(name, []).append(row)
    return found


def _near(measured: list[dict[str, Any]], rate: float) -> str:
    """The accuracy measured nearest to a rate, with its own rate; a dash if none is near."""
    row = _nearest(measured, rate)
    if abs(math.log(row["bpp"] / rate)) > math.log(1.25):
        return "-"
    return f"{100 * row['top1']:.1f} ({row['bpp']:.2f})"


def _nearest(measured: list[dict[str, Any]], rate: float) -> dict[str, Any]:
    """The row whose rate is nearest."""
    return min(measured, key=lambda row: abs(math.log(row["bpp"] / rate)))


def _fenced(language: str, text: str) -> str:
    return f"```{language}\n{text.strip()}\n```\n"


KINDS: dict[str, Callable[[str], str]] = {
    "commands": commands,
    "file": file,
    "plugin": plugin,
    "preprocess": preprocess,
    "reference": reference,
    "results": results,
    "table": table,
    "times": times,
    "training": training,
    "tuned": tuned,
}


def filled(text: str) -> str:
    """A page with its generated parts made anew."""

    def make(match: re.Match[str]) -> str:
        made = KINDS[match["kind"]](match["argument"])
        return f"{match['start']}{made}{match['end']}"

    return PART.sub(make, text)


def wanted() -> Iterable[tuple[Path, bytes]]:
    """Each page and plot, and what it should hold."""
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        yield page, filled(page.read_text(encoding="utf-8")).encode()
    for plot in sorted((ROOT / "docs" / "images").iterdir()):
        drawn = ROOT / "recipes" / "results" / plot.name
        if drawn.exists():
            yield plot, drawn.read_bytes()


def main() -> int:
    """Fill or check all pages and plots."""
    stale = []
    for path, content in wanted():
        if content != path.read_bytes():
            stale.append(path.relative_to(ROOT).as_posix())
            if "--check" not in sys.argv:
                path.write_bytes(content)
    for name in stale:
        print("stale:" if "--check" in sys.argv else "written:", name)
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
