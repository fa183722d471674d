"""`codecframe bench [NAME]`."""

from __future__ import annotations

from typing import Any

import click

import codecframe
from codecframe.cli import options, output
from codecframe.cli.groups import FunctionCommand, SuggestingGroup
from codecframe.core.benchmark import Benchmark


def _benchmarks() -> dict[str, Benchmark[Any]]:
    from codecframe.evaluation.bench import benchmarks

    return benchmarks()


class _Benchmarks(SuggestingGroup):
    """A command for each benchmark."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_benchmarks())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        benchmark = _benchmarks().get(cmd_name)
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
      codecframe bench device -o board.json
    """
    if ctx.invoked_subcommand is None:
        output.show_listed(codecframe.bench(), as_json=as_json)


def _command(benchmark: Benchmark[Any]) -> click.Command:
    """The command of a benchmark: its settings are the options."""

    def run(as_json: bool, **arguments: Any) -> None:
        names = [info.name for info in benchmark.settings_type.fields()]
        texts = {name: arguments.pop(name) for name in names}
        given = [f"{name}={text}" for name, text in texts.items() if text is not None]
        found = codecframe.bench(
            benchmark.name,
            **arguments,
            **benchmark.settings_type.parse(given).to_dict(),
            progress=output.progress(f"bench {benchmark.name}"),
        )
        output.show(found, as_json=as_json)

    result = options.output_option("Write the table as JSON, too.")
    shared = (result, options.force_option, options.json_option)
    decorated = options.combined(*_settings_options(benchmark), *shared)(run)
    text = f"{benchmark.summary[:1].upper()}{benchmark.summary[1:]}."
    made: click.Command = click.command(
        benchmark.name, cls=FunctionCommand, function="codecframe.bench", help=text
    )(decorated)
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
