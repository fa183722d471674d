"""Trainings of kind `learn`: the linear codec first, as a model file that works, then better."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx

import codecframe
from codecframe import write_whole
from codecframe_vae.bottleneck.inputs import (
    geometry_of,
    head_of,
    origin_of,
    shares_of,
    spread,
)
from codecframe_vae.bottleneck.model import Normalise
from codecframe_vae.bottleneck.photos import prepared
from codecframe_vae.bottleneck.split import graph_of
from codecframe_vae.learn.begin import Linear, Whole
from codecframe_vae.learn.graphs import LEARNED, learned_graph
from codecframe_vae.learn.improve import Channel, Improvement
from codecframe_vae.learn.measure import measure_of
from codecframe_vae.learn.merge import with_packed
from codecframe_vae.learn.recipe import LearnRecipe
from codecframe_vae.learn.views import Crops
from codecframe_vae.networks.nets import channels_last
from codecframe_vae.runtime import modelfile
from codecframe_vae.runtime.graphs import with_constants
from codecframe_vae.runtime.model import Model
from codecframe_vae.training import checkpoint
from codecframe_vae.training.data import U8, Labelled, to_tensor
from codecframe_vae.training.finish import Networks, as_tensor, assembled, try_out
from codecframe_vae.training.ladder import held_row
from codecframe_vae.training.optim import Optimizers, Part
from codecframe_vae.training.timed import spent, train_for

REPORT = "learned.json"
"""In a training's folder: what was chosen, and the candidates."""
_START = "start.safetensors"
_BATCH = 16
_CHECKED = 32
"""Held-out images that say whether the codec is of use, at most."""
_LEAST = 0.5
"""Agreement at the highest rate under which the codec is of no use."""
_PLACES = "places"
_CHOSEN = {"layer", "latents", "groups", "rates", "lowest", "octave", "adapter", "block"}
_STAGES = 7


def train_learn(recipe: LearnRecipe, run: codecframe.TrainingRun) -> None:
    """Make a codec for a head, and write its model file; go on with one that was begun."""
    learning = _Learning(recipe, run)
    linear = learning.resumed() or learning.begun()
    if recipe.minutes * 60 > spent(run):
        learning.improve(linear)


class _Learning:
    """One training: what it is made of, and its stages."""

    def __init__(self, recipe: LearnRecipe, run: codecframe.TrainingRun) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.run = recipe, run
        self.head, self.shape = head_of(recipe.head)
        measure = measure_of(self.head, self.shape)
        self.training, held = run.split(recipe.held_of(len(run.images)) + recipe.apart)
        self.apart = [at * len(held) // recipe.apart for at in range(recipe.apart)]
        """Places of those that neither train nor choose, among all that are held out."""
        self.held = [image for at, image in enumerate(held) if at not in set(self.apart)]
        values = torch.zeros(2, 3, *self.shape)
        normalise = Normalise(self.head.preprocess)
        graph = with_packed(graph_of(measure.network, normalise(values), any_size=False))
        watched = _watched(graph) if measure.watches else ()
        self.whole = Whole(graph, normalise, measure, watched)
        self.classes = [self.head.target_of(name) for name in run.classes]
        self.origin = origin_of(self.head, measure.network) | {"images": f"{len(run.images)}"}

    def resumed(self) -> Linear | None:
        """The linear codec that an earlier run made.

        Raises:
            MismatchError: if it was made for something else.
        """
        path = self.run.folder / _START
        if not path.exists() or not self.run.output.exists():
            return None
        tensors, facts = checkpoint.read(path)
        before = LearnRecipe.from_dict(facts["recipe"])
        wanted = self.recipe.to_dict()
        free = {"minutes"} | (set() if self.recipe.layer else _CHOSEN)
        changed = [k for k, v in before.to_dict().items() if k not in free and wanted[k] != v]
        changed += [k for k, v in self.origin.items() if facts["origin"].get(k) != v]
        if changed:
            raise codecframe.MismatchError(
                f"{self.run.folder} holds a training with another {changed[0]!r}; remove it to "
                "begin anew, or choose another name"
            )
        recipe = replace(before, minutes=self.recipe.minutes)
        return self.whole.again(recipe, tensors, self.shape)

    def begun(self) -> Linear:
        """The linear codec, written as a model file."""
        run, recipe = self.run, self.recipe
        with _stages(run) as tell:
            (run.folder / checkpoint.NAME).unlink(missing_ok=True)  # of another codec
            tell("reading images")
            measured, held = (
                _untold(prepared(images, self.head, self.shape))
                for images in (spread(self.training, recipe.measured), self.held)
            )
            linear = self.whole.linear_codec(recipe, measured.images, tell)
            self._check(linear, to_tensor(held.images[:_CHECKED]))
            tell("head")
            with torch.no_grad():
                latents = linear.encoder(to_tensor(held.images[:2]))
            graph = learned_graph(linear.head, self.whole.measure.said, latents)
        run = replace(run, recipe={**run.recipe, **linear.recipe.to_dict()})
        grid = linear.encoder.grid
        networks = Networks(
            linear, linear.graph, graph, linear.head.shifts, grid.stride, self.head.labels,
            geometry_of(self.head), filled=grid.is_whole,
        )  # fmt: skip
        arrays, manifest, ladder = assembled(networks, linear.recipe, run, measured, held)
        manifest = replace(manifest, task=self.whole.measure.outputs)
        modelfile.write_model(run.output, arrays, manifest)
        try_out(Model(run.output), list(held.images[:2]))  # what would fail later fails now
        tensors = {
            "forward": linear.transform.forward,
            "back": linear.transform.back,
            "mean": linear.transform.mean,
            "log_up": linear.gains.log_up,
            "log_down": linear.gains.log_down,
            _PLACES: torch.tensor(ladder.places),
        }
        facts = {"recipe": linear.recipe.to_dict(), "origin": self.origin}
        checkpoint.write(run.folder / _START, tensors, facts)
        report = {
            "recipe": run.recipe,
            "cuts": [cut.to_dict() for cut in linear.cuts],
            "held_out": len(self.held),
            "apart": self.apart,
        }
        write_whole(run.folder / REPORT, json.dumps(report, indent=1) + "\n")
        return linear

    @torch.no_grad()
    def _check(self, linear: Linear, images: Tensor) -> None:
        """Refuse a codec that loses what the head says.

        Raises:
            MismatchError: if it keeps less than half of its predictions at the highest rate.
        """
        measure = self.whole.measure
        features = linear.encoder.features(images)
        wanted = measure.said(linear.tail(features)[0].float())
        level = torch.full((len(images),), len(linear.recipe.rates) - 1)
        decoded = Channel(linear.gains).through(linear.encoder.latents(features), level)
        found = measure.said(linear.head(decoded, linear.head.shifts[level])[1].float())
        kept = float(measure.agreement(wanted, found).mean())
        if kept < _LEAST:
            recipe = linear.recipe
            raise codecframe.MismatchError(
                f"cut at {recipe.layer!r}, the head keeps {100 * kept:.0f} % of its predictions at "
                f"{recipe.rates[-1]:.2f} bpp: allow the encoder more time (device_ms)"
            )

    def improve(self, linear: Linear) -> None:
        """Train what follows the codec, and write the model file whenever it is better."""
        recipe, head = linear.recipe, linear.head
        channels_last(head)
        made = self._maker(linear)
        real, said, *_ = made(to_tensor(prepared(self.held, self.head, self.shape)))
        shares = shares_of(self.training, self.classes, self.head)
        crops = Crops(self.training, shares, self.shape, recipe, made)
        channel, measure = Channel(linear.gains), self.whole.measure
        task = Improvement(head, channel, measure, recipe, real.float(), said.float(), crops.draw)
        optimizers = Optimizers([Part("adam", list(task.weights.values()), recipe.adam_rate)])
        train_for(
            recipe.minutes,
            task,
            optimizers,
            self.run,
            self.origin,
            better=lambda seconds: self._write(recipe, task, seconds),
        )

    def _maker(self, linear: Linear) -> Callable[[Tensor], list[Tensor]]:
        """From crops, `uint8`, (n, 3, height, width), to real latents, the whole network's
        word (`Measure.said`), and its watched outputs, `float16`.
        """
        encoder = linear.encoder

        @torch.no_grad()
        def made(images: Tensor) -> list[Tensor]:
            parts: list[list[Tensor]] = []
            for some in torch.split(images, _BATCH):
                features = encoder.features(some)
                scores, *watched = linear.tail(features)
                said = self.whole.measure.said(scores.float())
                parts.append([encoder.latents(features), said, *watched])
            return [torch.cat(column).half() for column in zip(*parts, strict=True)]

        return made

    def _write(self, recipe: LearnRecipe, task: Improvement, seconds: float) -> None:
        """The model file with the weights in place: codec and payloads stay as they are."""
        path = self.run.output
        manifest = modelfile.read_manifest(path)
        arrays = modelfile.read_arrays(path, manifest)
        places = checkpoint.read(self.run.folder / _START)[0][_PLACES].tolist()
        weights, agreement = task.chosen()
        shifts = weights.pop("shifts")
        constants = {LEARNED + name: weight.cpu().numpy() for name, weight in weights.items()}
        graph = with_constants(arrays["head.onnx"].tobytes(), constants)
        arrays["head.onnx"] = as_tensor(graph)
        rows = [held_row(shifts, max(place, 0.0)) for place in places]
        arrays["levels.head"] = np.stack(rows)
        measured = {
            "images": len(self.held),
            "rates": list(recipe.rates),
            "agreement": [round(float(share), 4) for share in agreement],
            "seconds": round(seconds),
        }
        modelfile.write_model(path, arrays, replace(manifest, measured=measured))


def _watched(graph: fx.GraphModule) -> tuple[str, ...]:
    """The node that the last layer with weights takes."""
    for node in reversed(list(graph.graph.nodes)):
        inputs = node.all_input_nodes
        if any(one.op == "get_attr" for one in inputs) and node.op == "call_function":
            given = [one for one in inputs if one.op == "call_function"]
            return (given[0].name,) if len(given) == 1 else ()
    return ()


def _untold(images: U8) -> Labelled:
    """Images whose classes do not matter."""
    return Labelled(images, np.zeros(len(images), np.int64))


@contextmanager
def _stages(run: codecframe.TrainingRun) -> Iterator[Any]:
    """Tells of stages; the display counts them."""
    with run.progress(_STAGES) as display:
        told = 0

        def tell(stage: str) -> None:
            nonlocal told
            display.advance(1 if 0 < told < _STAGES else 0, stage)
            told += 1

        yield tell
        display.advance(max(_STAGES - max(told - 1, 0), 0), "")
