"""`codecframe bench [NAME]`."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from codecframe.cli import options, output
from codecframe.cli.groups import SuggestingGroup
from codecframe.core import registry
from codecframe.core.benchmark import Benchmark
from codecframe.core.errors import pip_install
from codecframe.core.outputs import refuse_foreign
from codecframe.evaluation.results import is_results, write_results


class _Benchmarks(SuggestingGroup):
    """A command for each benchmark that a plugin brings."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(registry.default().benchmarks)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        benchmark = registry.default().benchmarks.get(cmd_name)
        return None if benchmark is None else _command(benchmark)


@click.group("bench", cls=_Benchmarks, invoke_without_command=True)
@options.json_option
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """List benchmarks, or run one on this machine.

    \b
    Examples:
      codecframe bench
      codecframe bench encoders --help
      codecframe bench encoders -o encoders.json
    """
    if ctx.invoked_subcommand is not None:
        return
    briefs = [
        {"name": name, "summary": found.summary, "missing": registry.missing(found.requires)}
        for name, found in registry.default().benchmarks.items()
    ]
    if as_json:
        output.print_json(briefs)
        return
    rows = []
    for brief in briefs:
        note = pip_install(brief["missing"]) if brief["missing"] else ""
        rows.append([brief["name"], brief["summary"], note])
    output.print_table(["benchmark", "what it compares", ""], rows)


def _command(benchmark: Benchmark[Any]) -> click.Command:
    """The command of a benchmark: its settings are the options."""

    def run(as_json: bool, target: str | None, force: bool, **given: str | None) -> None:
        if target is not None:
            refuse_foreign(target, is_results, force=force)
        assignments = [f"{name}={value}" for name, value in given.items() if value is not None]
        settings = benchmark.settings_type.parse(assignments)
        table = benchmark.run(
            settings, lambda total: output.ProgressBar(total, f"bench {benchmark.name}")
        )
        if target is not None:
            made = shlex.join(["codecframe", *sys.argv[1:]])
            write_results(Path(target), benchmark.name, made, table.rows, table.notes)
        if as_json:
            output.print_json({"rows": [dict(row) for row in table.rows], "notes": table.notes})
        else:
            _render(table.rows, table.notes)

    result = click.option(
        "--output", "-o", "target", metavar="FILE", help="Write the table as JSON, too."
    )
    shared = (result, options.force_option, options.json_option)
    decorated = options.combined(*_settings_options(benchmark), *shared)(run)
    text = f"{benchmark.summary[:1].upper()}{benchmark.summary[1:]}."
    made: click.Command = click.command(benchmark.name, help=text)(decorated)
    return made


def _settings_options(benchmark: Benchmark[Any]) -> list[Any]:
    defaults = benchmark.settings_type().to_dict()
    return [
        click.option(
            f"--{info.name.replace('_', '-')}",
            info.name,
            metavar="VALUE",
            help=f"{info.option.help}: {info.expected}. [default: {_shown(defaults[info.name])}]",
        )
        for info in benchmark.settings_type.fields()
    ]


def _shown(default: Any) -> str:
    return "none" if default in (None, "") else str(default)


def _render(rows: Sequence[Mapping[str, Any]], notes: str) -> None:
    names = list(rows[0]) if rows else []
    right = {name for name in names if all(_is_number(row[name]) for row in rows)}
    columns = [(">" if name in right else "") + name.replace("_", " ") for name in names]
    output.print_table(columns, [[_cell(row[name]) for name in names] for row in rows])
    click.echo(f"\n{notes}")


def _is_number(value: Any) -> bool:
    return value is None or isinstance(value, (int, float))


def _cell(value: Any) -> str:
    """Integers whole, other numbers to three digits."""
    if value is None:
        return ""
    if isinstance(value, float) and abs(value) < 1000:
        return f"{value:.3g}"
    return f"{value:,.0f}" if isinstance(value, (int, float)) else str(value)
