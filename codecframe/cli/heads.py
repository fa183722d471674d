"""`codecframe heads [NAME]` and `codecframe heads check NAME`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from codecframe.cli import options, output
from codecframe.cli.groups import DefaultGroup
from codecframe.core import registry
from codecframe.core.errors import pip_install

if TYPE_CHECKING:
    from codecframe.core.head import TaskHead
    from codecframe.evaluation.headcheck import HeadCheck, Tried


@click.group("heads", cls=DefaultGroup, default="show", subcommand_metavar="[NAME | check HEAD]")
def command() -> None:
    """List heads, show one with what is assumed of it, or check its preprocessing.

    NAME is a head's name, a model file, head.yaml or module:function; with --json as JSON.

    \b
    Examples:
      codecframe heads
      codecframe heads efficientnet-lite0
      codecframe heads model.onnx --json
      codecframe heads check head.yaml --images photos/ --labels labels.csv
    """


@command.command("show")
@click.argument("name", required=False, shell_complete=options.complete_head)
@options.json_option
def show(name: str | None, as_json: bool) -> None:
    """List heads, or show one: what is meant where no command is named."""
    if name is not None:
        head = registry.default().head(name)
        _show({**_brief(head), **head.details()}, list(head.labels), as_json)
        return
    briefs = [_brief(head) for head in registry.default().heads.values()]
    if as_json:
        output.print_json(briefs)
        return
    rows = []
    for brief in briefs:
        note = pip_install(brief["missing"]) if brief["missing"] else ""
        rows.append([brief["name"], brief["accepts"], brief["classes"], brief["summary"], note])
    output.print_table(["head", "accepts", ">classes", "what it is", ""], rows)
    output.say("\nAlso: any .onnx or .pt2 file, a head.yaml, or a Python function module:function.")


def _show(facts: dict[str, Any], labels: list[str], as_json: bool) -> None:
    if as_json:
        output.print_json({**facts, "labels": labels})
        return
    for key, value in facts.items():
        lines = [_text(one) for one in value] if isinstance(value, list) else [_text(value)]
        if key == "input":
            lines = [f"{value[0]}x{value[1]} (height x width)" if value else "any size"]
        for number, line in enumerate(lines):
            click.echo(f"{'' if number else key:12} {line}")


def _text(value: Any) -> str:
    """Plain data in a line."""
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_text(one)}" for name, one in value.items())
    if value is None:
        return "none"
    return (
        f"{value:.6g}"
        if isinstance(value, float)
        else value
        if isinstance(value, str)
        else json.dumps(value)
    )


def _brief(head: TaskHead) -> dict[str, Any]:
    return {
        "name": head.name,
        "summary": head.summary,
        "accepts": str(head.accepts),
        "classes": len(head.labels),
        "input": list(head.input_shape) if head.input_shape else None,
        "metric": head.metric,
        "missing": registry.missing(head.requires),
    }


@command.command("check")
@click.argument("head", shell_complete=options.complete_head)
@click.option(
    "--images",
    "-i",
    multiple=True,
    required=True,
    metavar="PATH",
    help="Images, folders, or a data set such as cifar10:test. Repeat for several.",
)
@options.image_set_options
@options.json_option
def check(
    head: str,
    images: tuple[str, ...],
    labels: str | None,
    where: tuple[str, ...],
    limit: int | None,
    data_root: str | None,
    as_json: bool,
) -> int:
    """Say whether a head's preprocessing is plausible.

    The head is tried as described and with the usual alternatives: BGR, other ranges, means and
    deviations, squashed or cropped, channels last. With --labels accuracy decides. Without them it
    is how much predictions say about the images, which is weaker. 100 images are used unless
    --limit says otherwise. Ends with 1 where another preprocessing is better, and shows it as
    YAML for the head's description.

    \b
    Examples:
      codecframe heads check model.onnx --images photos/ --labels labels.csv
      codecframe heads check head.yaml --images photos/ --json
    """
    from codecframe.evaluation.headcheck import check_head
    from codecframe.images import open_images

    judge = registry.default().head(head)
    items = open_images(images, labels=labels, where=options.where_of(where), data_root=data_root)
    found = check_head(
        judge,
        items,
        **({} if limit is None else {"limit": limit}),
        progress=lambda n: output.ProgressBar(n, "check"),
    )
    for reason in found.failed:
        output.say(f"codecframe: {reason}")
    if as_json:
        output.print_json({**asdict(found), "yaml": found.yaml()})
    else:
        _render(found)
    return 1 if found.recommended or found.failed else 0


def _render(found: HeadCheck) -> None:
    click.echo(f"{found.verdict}: {found.reason}")
    measured = ["accuracy %", ">95 %"] if found.labelled else []
    columns = ["preprocessing", *(f">{c.lstrip('>')}" for c in measured), ">bits", ">confidence %"]
    rows = [_row(one, found.labelled) for one in (found.described, *found.others)]
    click.echo()
    output.print_table(columns, rows, title=f"{found.head}, {found.images} images")
    if found.recommended:
        click.echo(f"\nBetter in the head's description:\n\n{found.yaml()}", nl=False)


def _row(tried: Tried, labelled: bool) -> list[str]:
    known = [output.percent(tried.accuracy), output.interval(tried.low, tried.high)]
    bits = [f"{tried.information:.2f}", output.percent(tried.confidence)]
    return [tried.name, *(known if labelled else []), *bits]
