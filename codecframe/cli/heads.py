"""`codecframe heads [NAME]`."""

from __future__ import annotations

from typing import Any

import click

from codecframe.cli import options, output
from codecframe.core import registry
from codecframe.core.head import TaskHead


@click.command("heads")
@click.argument("name", required=False, shell_complete=options.complete_head)
@options.json_option
def command(name: str | None, as_json: bool) -> None:
    """List heads, or show one (a name, a model file, head.yaml or module:function).

    \b
    Examples:
      codecframe heads
      codecframe heads efficientnet-lite0
      codecframe heads model.onnx --json
    """
    if name is not None:
        head = registry.default().head(name)
        if as_json:
            output.print_json({**_brief(head), "labels": list(head.labels)})
            return
        for key, value in _brief(head).items():
            click.echo(f"{key:12} {value if value is not None else 'any'}")
        return
    briefs = [_brief(head) for head in registry.default().heads.values()]
    if as_json:
        output.print_json(briefs)
        return
    rows = []
    for brief in briefs:
        missing = ", ".join(brief["missing"])
        note = f"pip install '{missing}'" if missing else ""
        rows.append([brief["name"], brief["accepts"], brief["classes"], brief["summary"], note])
    output.print_table(["head", "accepts", ">classes", "what it is", ""], rows)
    output.say("\nAlso: any .onnx or .pt2 file, a head.yaml, or a Python function module:function.")


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
