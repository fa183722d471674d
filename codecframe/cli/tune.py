"""`codecframe tune`."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from codecframe.cli import options, output

if TYPE_CHECKING:
    from codecframe.tuning import Tuning


@click.command("tune")
@click.argument("codec", shell_complete=options.complete_codec)
@click.option(
    "--images", multiple=True, required=True, metavar="PATH", help="Images; repeat for several."
)
@click.option(
    "--budget",
    "-b",
    required=True,
    metavar="BUDGET",
    help="Bytes to tune for, met on average: 0.8bpp, 1200B, 12kB or 12KiB.",
)
@click.option(
    "--for",
    "encoder",
    default="any",
    show_default=True,
    metavar="ENCODER",
    help="Leave alone what that encoder cannot do: for jpeg pillow or cjpeg. Whole files are then "
    "what counts, unless --accounting says otherwise.",
)
@options.combined(
    options.group_option,
    options.held_out_option,
    options.head_option,
    options.settings_option,
    options.accounting_option,
    options.image_set_options,
)
@click.option("--trials", default=100, show_default=True, type=click.IntRange(1), help="To try.")
@click.option("--seed", default=0, show_default=True, help="Of the search.")
@click.option(
    "--most-time",
    default=4.0,
    show_default=True,
    help="Settings may take this many times as long to encode as those started from.",
)
@click.option(
    "--retrain-head",
    metavar="FILE",
    help="Also retrain the head on what the tuned codec leaves; its description goes to FILE "
    "(.yaml), the model beside it. For heads that are torch modules.",
)
@click.option("--output", "-o", "target", metavar="FILE", help="Preset file; default: CODEC.yaml.")
@options.combined(options.force_option, options.json_option)
def command(
    codec: str,
    images: tuple[str, ...],
    budget: str,
    encoder: str,
    group: str | None,
    held_out: tuple[str, ...],
    head: str,
    assignments: tuple[str, ...],
    accounting: str,
    labels: str | None,
    where: tuple[str, ...],
    limit: int | None,
    data_root: str | None,
    trials: int,
    seed: int,
    most_time: float,
    retrain_head: str | None,
    target: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """Find settings of a codec that suit a head, and write them as a preset.

    Every other image tunes; the rest decides whether what was found is kept, so that on images that
    it has not seen it never loses to the defaults, to the codec's variants of them, nor to the
    presets that come with it. Where images belong together, e.g. frames of one track, keep them so
    with --group, or name those that decide with --held-out. Stop with Ctrl-C at any time; the same
    command goes on.

    \b
    Examples:
      codecframe tune jpeg --images photos/ --head efficientnet-lite0 --budget 0.8bpp
      codecframe tune webp --images signs/ --labels folders --head signs.onnx --budget 300B
      codecframe tune jpeg --images photos/ --head net.onnx --budget 0.8bpp --for pillow
      codecframe tune jpeg --images cars/ --group "pattern:track(\\d+)" --head net.onnx -b 0.8bpp
      codecframe encode photo.png --codec jpeg --preset jpeg.yaml
      codecframe tune jpeg --images photos/ --head net.pt2 --budget 0.8bpp --retrain-head new.yaml
    """
    from codecframe.core.parallel import share_cores

    share_cores()  # before numerical libraries are imported
    from codecframe.core import registry
    from codecframe.core.presets import parse_settings
    from codecframe.images import group_names, open_held_out, open_images, without
    from codecframe.rate import Accounting
    from codecframe.tuning import tune

    chosen = registry.default().codec(codec)
    path = Path(target or f"{chosen.name}.yaml")
    if group and held_out:
        raise click.UsageError("--held-out says which images decide: --group has nothing to say")

    chosen_rows = options.where_of(where)
    items = open_images(images, labels=labels, where=chosen_rows, limit=limit, data_root=data_root)
    presets = [text.partition("=")[2] for text in assignments if text.startswith("preset=")]
    files = _Files(path, Path(retrain_head) if retrain_head else None)
    files.check([*(item.path for item in items if item.path), labels or "", head, *presets], force)
    held = None
    if held_out:
        held = open_held_out(
            held_out, images, labels=labels, where=chosen_rows, limit=limit, data_root=data_root
        )
        items = without(items, held)
    source = click.get_current_context().get_parameter_source("accounting")
    if encoder != "any" and source is ParameterSource.DEFAULT:
        accounting = "file"
    found = tune(
        chosen,
        registry.default().head(head),
        items,
        options.budget_of(budget, mean=True),
        Accounting(accounting),
        base=parse_settings(chosen, assignments),
        encoder=None if encoder == "any" else encoder,
        groups=group_names(items, group, labels) if group else None,
        held_out=held,
        trials=trials,
        seed=seed,
        most_time=most_time,
        measured=files.trials,
        made={"command": shlex.join(["codecframe", *sys.argv[1:]]), "seed": seed},
        retrain_to=files.head,
        progress=lambda total: output.ProgressBar(total, f"tune {chosen.name}"),
    )
    found.preset.write(path)
    if found.warning:
        output.say(f"codecframe: {found.warning}")
    if as_json:
        flags = {"improved": found.improved, "beats_starts": found.beats_starts}
        facts = {"path": str(path), **flags, **vars(found.preset)}
        output.print_json(facts | ({"head": retrain_head} if retrain_head else {}))
    else:
        _render(found, str(path))
        if retrain_head:
            _render_head(found.preset.scored["retrained"], retrain_head)


@dataclass(frozen=True)
class _Files:
    """What is written: the preset, and perhaps a head's description with its model."""

    preset: Path
    head: Path | None

    @property
    def trials(self) -> Path:
        """What was measured, beside the preset."""
        return self.preset.with_suffix(".trials")

    def check(self, inputs: Sequence[str], force: bool) -> None:
        """Check that nothing is lost, before hours of tuning.

        Raises:
            OutputError: if a file would be replaced that no tuning made.
        """
        from codecframe.core.outputs import make_way, refuse_foreign, refuse_inputs
        from codecframe.core.presets import is_tuned
        from codecframe.tuning import is_memory, is_retrained

        heads = [self.head, self.head.with_suffix(".pt2")] if self.head else []
        refuse_inputs([self.preset, self.trials, *heads], inputs)
        refuse_foreign(self.preset, is_tuned, force=force)
        refuse_foreign(self.trials, is_memory, force=force)
        if self.head is not None:
            described = is_retrained(self.head)
            for path in heads:
                refuse_foreign(path, lambda _: described, force=force)
        make_way(self.trials, is_memory)


def _render(found: Tuning, path: str) -> None:
    scored, rows = found.preset.scored, []
    for part in ("held-out", "tuning"):
        for which in ("default", "tuned"):
            rows.append([part, which, *_cells(scored[part][which])])
    start = scored["start"]
    rows.insert(1, ["held-out", f"best start: {start['settings']}", *_cells(start)])
    title = f"{scored['budget']}, {scored['accounting']} bytes"
    output.print_table(["images", "settings", ">score %", ">95 %", ">loss"], rows, title=title)
    verdict = f"{_points(scored['held-out']['difference'])} on held-out images"
    if not found.beats_starts:
        held = "the defaults" if not found.improved else start["settings"]
        verdict += f"; the search found nothing that beats {held}, which the preset holds"
    click.echo(f"\n{verdict}; encoding takes {scored['encode_time']} times as long")
    if found.improved and scored["held-out"]["difference"][0] < 0:
        click.echo("the loss, which decides, is lower, though the score is: too few images to tell")
    from codecframe.tuning import in_words

    for encoder, figures in scored.get("exports", {}).items():
        for line in in_words(encoder, figures):
            click.echo(line)
    click.echo(f"preset: {path}")


def _cells(figures: Any) -> list[str]:
    spread = output.interval(figures["low"], figures["high"])
    return [output.percent(figures["score"]), spread, f"{figures['loss']:.4f}"]


def _render_head(scored: Any, path: str) -> None:
    """The retrained head beside the one before, on held-out images at the preset."""
    before, after = (output.percent(scored[key]["score"]) for key in ("before", "retrained"))
    click.echo(f"retrained head: {path}: {before} % -> {after} %, {_points(scored['difference'])}")


def _points(difference: tuple[float, float, float]) -> str:
    mean, low, high = (100 * value for value in difference)
    return f"{mean:+.1f} points (95 %: {low:+.1f} to {high:+.1f})"
