"""Parts of a training: images, optimizers, figures of fidelity, graphs, checkpoints, teachers."""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("safetensors")

import onnx
import torch
from torch import nn
from torch.nn import functional

import codecframe
from codecframe.core.progress import Silent
from codecframe.testing import natural_image, noise_image
from codecframe_vae.networks.nets import (
    Encoder,
    Gains,
    Head,
    PixelModel,
    SimpleDecoder,
    convolution,
)
from codecframe_vae.networks.widths import Widths
from codecframe_vae.runtime.model import open_session
from codecframe_vae.training import checkpoint, data
from codecframe_vae.training import shipped as shipped_models
from codecframe_vae.training.channel import Channel
from codecframe_vae.training.data import Batches, Labelled
from codecframe_vae.training.export import (
    classifier_graph,
    decoder_graph,
    encoder_graph,
    eval_mode,
    head_graph,
    quantised,
)
from codecframe_vae.training.int8 import int8_graph
from codecframe_vae.training.joint import JointModel
from codecframe_vae.training.ladder import Ladder, multipliers_at
from codecframe_vae.training.loop import Task, train
from codecframe_vae.training.optim import (
    Muon,
    Optimizers,
    Part,
    network_parts,
    orthogonalise,
    rate_factor,
)
from codecframe_vae.training.pixels import PixelTask
from codecframe_vae.training.precision import autocast, fast_type
from codecframe_vae.training.quality import ms_ssim, psnr
from codecframe_vae.training.recipes import ClassifierRecipe, VaeRecipe
from codecframe_vae.training.shipped import adopt, shipped
from codecframe_vae.training.teacher import Teacher

SMALL: dict[str, Any] = {
    "latents": 4,
    "stem": (8, 1),
    "encoder": (8, 0),
    "head": (8, 1),
    "top": (12, 0),
}
NONE = Labelled(np.empty((0, 8, 12, 3), np.uint8), np.empty(0, np.int64))
RECIPE = ClassifierRecipe(**SMALL, epochs=4, batch=10, held_out=5, muon_rate=0.1)


@dataclass(frozen=True)
class Item:
    """A labelled image."""

    image: Any
    target: Any = 0

    def read(self) -> Any:
        return self.image


def labelled(count: int, height: int = 8, width: int = 12, classes: int = 3) -> Labelled:
    rng = np.random.default_rng(count)
    images = rng.integers(0, 256, (count, height, width, 3)).astype(np.uint8)
    targets = np.arange(count) % classes
    images[..., 0] = targets[:, None, None] * 100  # a network can tell them apart
    return Labelled(images, targets)


def run_with(items: list[Item], **more: Any) -> codecframe.TrainingRun:
    """A run of some images, which writes nothing; warnings are not of interest."""
    here = Path()
    return codecframe.TrainingRun(
        "mine", items, (), here, here, {}, Silent, **{"warn": lambda _: None, **more}
    )


def run_in(folder: Path, name: str = "mine", classes: int = 3) -> codecframe.TrainingRun:
    (folder / f"{name}.log").mkdir(parents=True, exist_ok=True)
    names = tuple("abcdefgh"[:classes])
    return codecframe.TrainingRun(
        name, [], names, folder / f"{name}.log", folder / f"{name}.onnx", {}, Silent
    )


# -- images --------------------------------------------------------------------------------


def test_images_are_read_with_their_classes() -> None:
    items = [Item(natural_image(8, 12, seed=i), i % 2) for i in range(5)]
    read, held = data.load(run_with(items), 0, 4)
    assert not len(held)
    assert (read.images.shape, read.images.dtype) == ((5, 8, 12, 3), np.uint8)
    assert (read.targets.tolist(), read.targets.dtype) == ([0, 1, 0, 1, 0], np.int64)
    assert (len(read), read.pixels) == (5, 96)
    assert np.array_equal(read.images[3], items[3].image)
    tensor = data.to_tensor(read.images)
    assert tensor.shape == (5, 3, 8, 12)
    assert tensor.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([], "labels"),
        ([Item(natural_image(8, 8), None)], "labels"),
        ([Item(natural_image(8, 8)), Item(natural_image(8, 12))], "one size.* 8x8 and 8x12"),
        ([Item(natural_image(8, 10))], r"multiples of 4, not \(8, 10\)"),
    ],
)
def test_images_that_cannot_be_trained_on_are_refused(items: list[Item], message: str) -> None:
    with pytest.raises(codecframe.MismatchError, match=message):
        data.load(run_with(items), 0, 4)


def test_held_out_images_are_read_apart() -> None:
    items = [Item(np.full((4, 8, 3), i, np.uint8), i) for i in range(12)]
    training, validation = data.load(run_with(items), 4, 4)
    assert validation.targets.tolist() == [0, 3, 6, 9]
    for part in (training, validation):
        assert part.images[:, 0, 0, 0].tolist() == part.targets.tolist()
    training, validation = data.load(run_with(items[:8], held_out=items[8:]), 4, 4)
    assert validation.targets.tolist() == [8, 9, 10, 11]
    assert len(training) == 8


def test_augmentation_leaves_the_images_themselves_alone() -> None:
    some = labelled(20)
    before = some.images.copy()
    options: dict[str, Any] = {"shift": 9, "flip": True, "cutout": 4, "mix": 1.0, "batch": 500}
    batches = Batches(some, 3, ClassifierRecipe(**options))
    assert batches.steps == 1  # a batch is at most all images
    for epoch in range(3):
        for images, shares in batches.epoch(epoch):
            assert images.shape == (20, 3, 8, 12)
            assert images.dtype == torch.uint8
            assert shares.dtype == torch.float32
    assert np.array_equal(some.images, before)


class Negative:
    """A channel at whose end images are the negatives of what was sent."""

    def seen(self, images: Any) -> Any:
        return 255 - images


def test_behind_a_codec_a_classifier_learns_of_what_arrives_and_its_teacher_of_what_is_sent(
    tmp_path: Path,
) -> None:
    images = data.to_tensor(labelled(30).images)
    targets = torch.eye(3)[labelled(30).targets]
    master = trained(run_in(tmp_path, "master")).model.eval()
    recipe = ClassifierRecipe(**{**RECIPE.to_dict(), "teacher": "master", "teaching": 1.0})
    channel: Any = Negative()
    task = PixelTask(
        trained(run_in(tmp_path, "pupil")).model.eval(),
        recipe, labelled(30), Teacher(recipe, run_in(tmp_path)), channel,
    )  # fmt: skip
    with torch.no_grad(), autocast("cpu"):
        said, meant = task.model(255 - images), master(images).softmax(1)
        assert torch.allclose(task.logits(images), said, atol=1e-3)
        loss, figures = task.loss(images, targets, 0.0)
    wanted = functional.cross_entropy(said.float(), meant.float())
    assert float(loss) == pytest.approx(float(wanted), rel=1e-2)
    assert task.validate()["val top1"] == pytest.approx(figures["top1"])


def test_a_channel_has_the_level_of_its_rate() -> None:
    some = labelled(60, 16, 16)
    channel = Channel.chosen(ClassifierRecipe(codec="jpeg:subsampling=4:4:4", bpp=4.0), some)
    assert channel.settings.to_dict()["subsampling"] == "4:4:4" and 2 < channel.bpp <= 4
    finer = Channel.chosen(ClassifierRecipe(codec="jpeg:subsampling=4:4:4", bpp=6.0), some)
    errors = [
        np.square(one.seen(some.images).astype(float) - some.images).mean()
        for one in (channel, finer)
    ]
    assert errors[0] > errors[1] > 0
    decoded = channel.codec.decode(channel.codec.encode(some.images[3], channel.settings))
    assert np.array_equal(channel.seen(some.images)[3], decoded)
    nothing = channel.seen(some.images[:0])
    assert nothing.shape == (0, 16, 16, 3)


# -- optimizers ----------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(8, 8), (6, 50), (50, 6), (1, 9)])
def test_orthogonalised_matrices_are_nearly_orthogonal(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    matrix = torch.randn(shape)
    found = orthogonalise(matrix, steps=5)
    assert (found.shape, found.dtype) == (matrix.shape, matrix.dtype)
    values = torch.linalg.svdvals(found)
    assert values.min() > 0.5
    assert values.max() < 1.4
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    nearest = left @ right
    assert functional.cosine_similarity(found.flatten(), nearest.flatten(), dim=0) > 0.95


def test_muon_lowers_a_quadratic_loss() -> None:
    """Among kernels of its norm, which do not change with scale."""
    torch.manual_seed(0)
    wanted = functional.normalize(torch.randn(12, 6, 3, 3).flatten(), dim=0).view(12, 6, 3, 3)
    kernel = nn.Parameter(torch.randn(12, 6, 3, 3))
    optimizer = Muon([kernel], lr=0.3)
    losses = []
    for step in range(60):
        optimizer.param_groups[0]["lr"] = 0.3 * (1 - step / 60)
        loss = (kernel / kernel.norm() - wanted).square().sum()
        optimizer.zero_grad()
        loss.backward()
        before = kernel.detach().clone()
        optimizer.step()
        losses.append(float(loss.detach()))
        assert not torch.equal(before, kernel)
    assert losses[0] > 1.5
    assert losses[-1] < 0.05
    assert float(kernel.detach().norm()) == pytest.approx(12**0.5, rel=0.1)


def test_kernels_without_gradient_stay() -> None:
    kernel = nn.Parameter(torch.ones(2, 2, 3, 3))
    Muon([kernel], lr=0.1).step()
    assert torch.equal(kernel, torch.ones(2, 2, 3, 3))


def test_convolutions_that_do_not_narrow_begin_with_their_inputs() -> None:
    x = torch.randn(2, 4, 5, 6)
    wide, _ = convolution(4, 7, 3)
    assert torch.allclose(wide(x)[:, :4], x, atol=1e-6)
    assert float(wide(x)[:, 4:].detach().abs().max()) > 0.1
    narrow, _ = convolution(4, 3, 3)
    assert not torch.allclose(narrow(x), x[:, :3], atol=0.1)


def test_kernels_biases_gains_and_all_else_have_rates_of_their_own() -> None:
    recipe = VaeRecipe(**SMALL, muon_rate=0.1, bias_rate=0.2, adam_rate=0.3)
    model = JointModel(recipe.widths(3, levels=6), recipe.groups)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    parts = network_parts(model, recipe, gain_rate=0.4)
    found = {part.rate: {names[id(p)] for p in part.parameters} for part in parts}
    assert [part.rate for part in parts if part.is_muon] == [0.1]
    assert set().union(*found.values()) == set(names.values())
    assert all(model.get_parameter(name).ndim == 4 for name in found[0.1])
    assert "encoder.body.0.0.weight" in found[0.1]
    assert {"encoder.body.0.1.bias", "head.shifts"} <= found[0.2]
    assert found[0.3] == {"head.last.weight", "head.last.bias"}
    assert {"gains.log_up", "prior.weight_even"} <= found[0.4]
    assert not found[0.4] & found[0.1]


def test_rates_rise_and_fall() -> None:
    model = nn.Linear(1, 1, bias=False)
    settings = ClassifierRecipe(adam_rate=0.1, warmup=1.0, cooldown=0.5)
    parts = network_parts(model, settings, 0.0)
    optimizers = Optimizers(parts)
    (adam,) = [optimizer for optimizer, _ in optimizers._all.values()]
    rates = []
    for step in range(20):
        model(torch.ones(1, 1)).sum().backward()
        optimizers.step(rate_factor(settings, step, 20, 4))
        rates.append(adam.param_groups[0]["lr"] / 0.1)
        assert all(p.grad is None for p in model.parameters())
    assert rates[:4] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert rates[4:11] == pytest.approx([1.0] * 7)
    assert rates[11:] == pytest.approx([k / 10 for k in range(9, 0, -1)])


# -- the ladder ----------------------------------------------------------------------------


def test_levels_between_trained_ones_are_between_and_those_above_only_finer() -> None:
    gains = Gains(latents=2, levels=3)
    with torch.no_grad():
        gains.log_up.copy_(torch.tensor([[0.0, 0.2], [0.4, 0.4], [1.0, 0.5]]))
        gains.log_down.copy_(torch.tensor([[-0.1, -0.2], [-0.7, -0.6], [-1.1, -0.6]]))
    up, down = multipliers_at(gains, 0.5)
    assert np.allclose(np.log(up), [0.2, 0.3])
    assert np.allclose(np.log(down), [-0.4, -0.4])
    last_up, last_down = multipliers_at(gains, 2.0)
    up, down = multipliers_at(gains, 4.0)
    assert np.allclose(np.log(up), [2.2, 0.7])
    assert np.allclose(up * down, last_up * last_down)


def test_levels_above_the_trained_ones_shift_as_the_last_of_them() -> None:
    one = np.ones((3, 2), np.float32)
    ladder = Ladder([0.5, 1.0, 7.0], [0.3, 0.6, 1.2], [], one, one)
    shifts = torch.tensor([[0.0, 1.0, 2.0], [4.0, 2.0, 0.0]])
    assert np.allclose(ladder.between(shifts), [[2, 1.5, 1], [4, 2, 0], [4, 2, 0]])


# -- figures of fidelity -------------------------------------------------------------------


def test_equal_images_have_nothing_wrong() -> None:
    for size in ((4, 4), (16, 20), (48, 48)):
        images = np.stack([natural_image(*size, seed=i) for i in range(3)])
        assert psnr(images, images) == pytest.approx(10 * np.log10(255**2 / 1e-6))
        assert ms_ssim(images, images) == pytest.approx(1.0, abs=1e-6)


def test_psnr_is_by_its_definition() -> None:
    black = np.zeros((2, 5, 7, 3), np.uint8)
    assert psnr(black, black + np.uint8(255)) == 0
    assert psnr(black, black + np.uint8(10)) == pytest.approx(28.1308, abs=1e-4)
    assert psnr(black + np.uint8(10), black) == pytest.approx(28.1308, abs=1e-4)
    one = black.copy()
    one[0] = 255  # the mean of both images' decibels
    assert psnr(one, black + np.uint8(10)) == pytest.approx(
        (10 * np.log10(65025 / 245**2) + 28.1308) / 2, abs=1e-4
    )


def slow_ssim(a: Any, b: Any) -> tuple[float, float]:
    """(mean of contrast, mean of all) of two images, (height, width), window by window."""
    line = np.exp(-((np.arange(7) - 3.0) ** 2) / 4.5)
    window = np.outer(line, line) / line.sum() ** 2
    contrasts, wholes = [], []
    for y in range(a.shape[0] - 6):
        for x in range(a.shape[1] - 6):
            p, q = a[y : y + 7, x : x + 7], b[y : y + 7, x : x + 7]
            mp, mq = (window * p).sum(), (window * q).sum()
            vp, vq = (window * (p - mp) ** 2).sum(), (window * (q - mq) ** 2).sum()
            cov = (window * (p - mp) * (q - mq)).sum()
            c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
            contrasts.append((2 * cov + c2) / (vp + vq + c2))
            wholes.append(contrasts[-1] * (2 * mp * mq + c1) / (mp**2 + mq**2 + c1))
    return float(np.mean(contrasts)), float(np.mean(wholes))


def test_similarity_is_by_its_definition() -> None:
    a, other = natural_image(16, 20, seed=1).copy(), noise_image(16, 20)
    b = ((3 * a.astype(int) + other) // 4).astype(np.uint8)
    channels = [(a[..., c].astype(float), b[..., c].astype(float)) for c in range(3)]
    fine = np.mean([slow_ssim(p, q)[0] for p, q in channels])
    halved = [[image.reshape(8, 2, 10, 2).mean((1, 3)) for image in pair] for pair in channels]
    coarse = np.mean([slow_ssim(p, q)[1] for p, q in halved])
    weights = np.array([0.0448, 0.2856]) / (0.0448 + 0.2856)
    expected = fine ** weights[0] * coarse ** weights[1]
    assert 0.1 < expected < 0.99
    assert ms_ssim(a[None], b[None]) == pytest.approx(expected, abs=1e-4)
    # of images too small for two scales, the plain kind
    small = np.mean([slow_ssim(p[:9, :9], q[:9, :9])[1] for p, q in channels])
    assert ms_ssim(a[None, :9, :9], b[None, :9, :9]) == pytest.approx(small, abs=1e-4)


def test_similarity_of_flat_images_is_that_of_their_brightness() -> None:
    a, b = np.full((1, 4, 6, 3), 100, np.uint8), np.full((1, 4, 6, 3), 120, np.uint8)
    assert ms_ssim(a, b) == pytest.approx((24_000 + 6.5025) / (24_400 + 6.5025), abs=1e-3)


# -- graphs --------------------------------------------------------------------------------

M = TypeVar("M", bound=nn.Module)
WIDTHS = [
    Widths(4, (8, 1), (12, 1), 3, 2, (0, 0), (8, 1), (8, 1)),
    Widths(6, (8, 0), (12, 0), 5, 2, (4, 1), (8, 0), (8, 0)),
]


def lively(module: M) -> M:
    """With statistics and weights that are not the initial ones."""
    generator = torch.Generator().manual_seed(0)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.uniform_(-0.5, 0.5, generator=generator)
            part.running_var.uniform_(0.5, 2, generator=generator)
            part.weight.data.uniform_(0.5, 1.5, generator=generator)
            part.bias.data.uniform_(-0.5, 0.5, generator=generator)
    for name, parameter in module.named_parameters():
        if name.endswith("shifts"):
            parameter.data.uniform_(-1, 1, generator=generator)
    return eval_mode(module)


def outputs(graph: bytes, **inputs: Any) -> Any:
    return open_session(graph, "test").run(None, inputs)[0]


@pytest.mark.parametrize("widths", WIDTHS)
def test_graphs_give_what_the_networks_give(widths: Widths) -> None:
    torch.manual_seed(1)
    encoder, head = lively(Encoder(widths)), lively(Head(widths))
    encoder.start_from(torch.randint(0, 256, (50, 3, 16, 16), dtype=torch.uint8))
    model = PixelModel(widths)
    model.encoder, model.head = encoder, head
    encoding, deciding = encoder_graph(encoder), head_graph(head)
    classifying = classifier_graph(model, {"labels": ["x"]})
    for size in ((8, 8), (12, 20)):
        images = np.stack([natural_image(*size, seed=i) for i in range(3)])
        with torch.inference_mode():
            latents = encoder(data.to_tensor(images))
            shift = head.shifts[[0, 1, 1]]
            logits = head(latents, shift)
            joined = head(latents, head.shifts[[-1] * 3])
        found = outputs(encoding, images=images)
        assert found.shape == (3, widths.latents, size[0] // 4, size[1] // 4)
        assert np.allclose(found, latents, atol=1e-4)
        found = outputs(deciding, latents=latents.numpy(), shift=shift.detach().numpy())
        assert np.allclose(found, logits, atol=1e-4)
        assert np.allclose(outputs(classifying, images=images), joined, atol=1e-3)


@pytest.mark.parametrize(
    ("full", "further", "quantised_ones", "count"),
    [((8, 0), 1, 3, 40), ((8, 0), 0, 2, 130), ((0, 0), 0, 1, 40)],
)
def test_the_encoder_in_integers_is_close_to_that_in_floats(
    full: tuple[int, int], further: int, quantised_ones: int, count: int
) -> None:
    """All convolutions are in integers but the first, and those behind the last pooling."""
    torch.manual_seed(3)
    encoder = Encoder(Widths(6, (8, 0), (12, 0), 5, 2, full, (16, further), (12, further)))
    images = np.stack([natural_image(16, 16, seed=i) for i in range(count)])
    encoder.start_from(data.to_tensor(images))
    eval_mode(encoder)
    exact = encoder_graph(encoder)
    graph = int8_graph(exact, images)
    operators = [node.op_type for node in onnx.load_from_string(graph).graph.node]
    assert operators.count("QLinearConv") == quantised_ones
    found, expected = outputs(graph, images=images[:9]), outputs(exact, images=images[:9])
    assert found.shape == expected.shape
    assert 0 < np.abs(found - expected).mean() < 0.05 * np.abs(expected).mean()


def test_the_decoders_graph_gives_what_the_decoder_gives() -> None:
    torch.manual_seed(2)
    decoder = lively(SimpleDecoder(4, 2, 8))
    latents, shift = torch.randn(2, 4, 3, 5), decoder.shifts[[1, 0]]
    with torch.inference_mode():
        images = decoder(latents, shift)
    found = outputs(decoder_graph(decoder), latents=latents.numpy(), shift=shift.detach().numpy())
    assert found.shape == (2, 12, 20, 3)
    assert np.allclose(found, images, atol=1e-2)


def test_large_kernels_are_stored_small_and_close() -> None:
    widths = Widths(4, (24, 1), (24, 0), 3, 2, (0, 0), (8, 0), (8, 0))
    head = lively(Head(widths))
    latents, shift = torch.randn(4, 4, 6, 6), head.shifts[[0, 1, 0, 1]]
    graph = head_graph(head)
    assert len(graph) < 0.4 * 4 * sum(p.numel() for p in head.parameters())
    with torch.inference_mode():
        logits = head(latents, shift)
    found = outputs(graph, latents=latents.numpy(), shift=shift.detach().numpy())
    assert np.abs(found - logits.numpy()).max() < 0.05 * float(logits.abs().max())


def test_quantised_kernels_are_off_by_half_a_step() -> None:
    weight = np.random.default_rng(0).normal(size=(5, 4, 3, 3)).astype(np.float32)
    weight[2] = 0
    stored, scale = quantised(weight)
    assert stored.dtype == np.int8
    assert scale.shape == (5, 1, 1, 1)
    assert (np.abs(stored * scale - weight) <= scale / 2 * 1.001).all()
    assert not stored[2].any()


# -- checkpoints ---------------------------------------------------------------------------


def test_a_checkpoint_comes_back(tmp_path: Path) -> None:
    tensors = {
        "model.a": torch.randn(3, 4, 5, 5).to(memory_format=torch.channels_last),
        "model.count": torch.tensor(7),
        "task.lambdas": torch.rand(2, 3).T,
    }
    path = tmp_path / "new" / checkpoint.NAME
    checkpoint.write(path, tensors, {"epochs": 3, "settings": {"rate": 0.1}})
    found, facts = checkpoint.read(path)
    assert facts == {"epochs": 3, "settings": {"rate": 0.1}}
    assert set(found) == set(tensors)
    assert all(torch.equal(found[name], tensors[name]) for name in tensors)
    assert set(checkpoint.part(found, "model")) == {"a", "count"}
    assert list(path.parent.iterdir()) == [path]


def test_a_checkpoint_that_fails_leaves_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / checkpoint.NAME
    checkpoint.write(path, {"a": torch.ones(2)}, {"epochs": 1})
    with pytest.raises(TypeError):
        checkpoint.write(path, {"a": torch.zeros(2)}, {"epochs": object()})
    assert checkpoint.read(path)[1] == {"epochs": 1}
    assert list(tmp_path.iterdir()) == [path]


@dataclass
class Evil:
    """Runs code when it is unpickled."""

    path: str

    def __reduce__(self) -> Any:
        return (open, (self.path, "w"))


def test_what_is_no_checkpoint_is_refused_and_not_unpickled(tmp_path: Path) -> None:
    path, mark = tmp_path / checkpoint.NAME, tmp_path / "mark"
    checkpoint.write(path, {"a": torch.ones(100)}, {"epochs": 1})
    whole = path.read_bytes()
    torch.save({"a": Evil(str(mark))}, tmp_path / "torch.pt")
    others = [pickle.dumps(Evil(str(mark))), (tmp_path / "torch.pt").read_bytes()]
    for content in (b"", whole[:-1], whole[:20], b"\xff" * 50, *others):
        path.write_bytes(content)
        with pytest.raises(codecframe.DataError, match="not a checkpoint"):
            checkpoint.read(path)
    assert not mark.exists()
    with pytest.raises(codecframe.DataError):
        checkpoint.read(tmp_path / "none")


def test_a_recipe_that_was_not_trained_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(codecframe.DataError, match="train 'other' first"):
        checkpoint.of_recipe("other", run_in(tmp_path))


# -- the loop: resuming, starting from, teachers --------------------------------------------


@dataclass
class Plain(Task):
    """Cross-entropy of a network in `float32`, without anything else."""

    model: PixelModel
    recipe: ClassifierRecipe
    stop: int = -1
    steps: int = 0
    notes: list[int] = field(default_factory=list)

    def parts(self) -> list[Part]:
        return network_parts(self.model, self.recipe, 0.0)

    def loss(self, images: Any, targets: Any, progress: float) -> tuple[Any, dict[str, float]]:
        if self.steps == self.stop:
            raise KeyboardInterrupt
        self.steps += 1
        loss = functional.cross_entropy(self.model(images), targets)
        return loss, {"loss": float(loss.detach())}

    def validate(self) -> dict[str, float]:
        return {}

    def state(self) -> dict[str, Any]:
        return {"steps": torch.tensor(self.steps)}

    def restore(self, state: dict[str, Any]) -> None:
        self.notes.append(int(state["steps"]))


def trained(
    run: codecframe.TrainingRun,
    recipe: Any = RECIPE,
    classes: int = 3,
    stop: int = -1,
) -> Plain:
    torch.manual_seed(0)
    task = Plain(PixelModel(recipe.widths(classes, levels=1)), recipe, stop)
    train(task, Batches(labelled(30, classes=classes), classes, recipe), recipe, run)
    return task


def weights(task: Task) -> dict[str, Any]:
    return {name: tensor.clone() for name, tensor in task.model.state_dict().items()}


def test_a_stopped_training_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    whole = trained(run_in(tmp_path, "whole"))
    assert whole.steps == 12
    run = run_in(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        trained(run, stop=7)  # in the third epoch
    resumed = trained(run)
    assert (resumed.steps, resumed.notes) == (6, [6])
    assert all(torch.equal(t, weights(resumed)[name]) for name, t in weights(whole).items())
    lines = (run.folder / "log.jsonl").read_text().splitlines()
    assert len(lines) == 4
    assert '"epoch": 4' in lines[-1]
    again = trained(run)  # nothing is left to do
    assert again.steps == 0
    assert all(torch.equal(t, weights(again)[name]) for name, t in weights(whole).items())


def test_a_training_of_another_recipe_is_not_gone_on_from(tmp_path: Path) -> None:
    run = run_in(tmp_path)
    trained(run)
    for other in (
        ClassifierRecipe(**{**RECIPE.to_dict(), "epochs": 5}),
        VaeRecipe(**SMALL, epochs=4, batch=10, held_out=5, muon_rate=0.1),
    ):
        with pytest.raises(codecframe.MismatchError, match="other settings; remove it"):
            trained(run, other)
    with pytest.raises(codecframe.MismatchError, match="other classes; remove it"):
        trained(run, classes=4)


def test_a_training_starts_from_what_fits_of_another(tmp_path: Path) -> None:
    first = weights(trained(run_in(tmp_path, "first")))
    rates = {"muon_rate": 0.0, "bias_rate": 0.0, "adam_rate": 0.0}
    still = {"start": "first", "epochs": 1, **rates}
    recipe = ClassifierRecipe(**{**RECIPE.to_dict(), **still, "top": (16, 0)})
    task = trained(run_in(tmp_path), recipe)
    fits = {n: p for n, p in task.model.named_parameters() if first[n].shape == p.shape}
    assert "encoder.body.0.0.weight" in fits
    assert "head.last.weight" not in fits
    for name, parameter in fits.items():  # nothing was learned, but kernels keep a norm
        one, two = parameter.detach().flatten(), first[name].flatten()
        assert float(functional.cosine_similarity(one, two, dim=0)) == pytest.approx(1, abs=1e-5)
    with pytest.raises(codecframe.DataError, match="train 'none' first"):
        trained(run_in(tmp_path, "new"), ClassifierRecipe(start="none"))


def ship(folder: Path, model: PixelModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a classifier come with the plugin, as `ours`."""
    monkeypatch.setattr(shipped_models, "MODELS", folder)
    about = {"recipe": RECIPE.to_dict(), "labels": ["a", "b", "c"]}
    (folder / "ours.onnx").write_bytes(classifier_graph(model, about))


def test_a_classifier_starts_from_one_that_ships(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = trained(run_in(tmp_path, "first")).model.eval()
    images = data.to_tensor(labelled(40).images)
    with torch.no_grad():
        expected = first(images)
    ship(tmp_path, first, monkeypatch)
    recipe = ClassifierRecipe(**{**RECIPE.to_dict(), "start": "ours", "epochs": 1})
    model = PixelModel(recipe.widths(3, levels=1))
    ours = shipped("ours", run_in(tmp_path))
    assert ours is not None
    adopt(model, ours, images)
    with torch.no_grad():
        # large kernels are stored as int8
        assert torch.allclose(model(images), expected, atol=0.02 * float(expected.abs().max()))

    run = run_in(tmp_path)
    task = PixelTask(PixelModel(recipe.widths(3, levels=1)), recipe, NONE, Teacher(recipe, run))
    train(task, Batches(labelled(30), 3, recipe), recipe, run)
    row = json.loads((run.folder / "log.jsonl").read_text())
    scratch = ClassifierRecipe(**{**recipe.to_dict(), "start": ""})
    other = run_in(tmp_path, "scratch")
    task = PixelTask(PixelModel(recipe.widths(3, levels=1)), scratch, NONE, Teacher(scratch, other))
    train(task, Batches(labelled(30), 3, scratch), scratch, other)
    assert row["loss"] < json.loads((other.folder / "log.jsonl").read_text())["loss"]


def test_what_ships_for_other_classes_gives_all_but_the_last_layer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = trained(run_in(tmp_path, "first")).model.eval()
    ship(tmp_path, first, monkeypatch)
    ours = shipped("ours", run_in(tmp_path))
    assert ours is not None
    model = PixelModel(RECIPE.widths(5, levels=1))
    last = model.head.last.weight.clone()
    adopt(model, ours, data.to_tensor(labelled(40).images))
    assert torch.equal(model.head.last.weight, last)
    assert torch.equal(model.encoder.mean, first.encoder.mean)
    wider = ClassifierRecipe(**{**RECIPE.to_dict(), "top": (16, 0)})
    with pytest.raises(codecframe.MismatchError, match="other sizes"):
        adopt(PixelModel(wider.widths(3, levels=1)), ours, data.to_tensor(labelled(4).images))
    with pytest.raises(codecframe.MismatchError, match="only a classifier starts from"):
        trained(run_in(tmp_path), ClassifierRecipe(**{**RECIPE.to_dict(), "start": "ours"}))


def test_a_teacher_may_be_one_that_ships(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = trained(run_in(tmp_path, "first")).model.eval()
    ship(tmp_path, model, monkeypatch)
    images, targets = data.to_tensor(labelled(6).images), torch.eye(3)[[0, 1, 2, 0, 1, 2]]
    logits = torch.randn(6, 3)
    names = ("first", "ours")  # trained in this folder, and the same as it ships
    trained_here, as_shipped = (
        Teacher(ClassifierRecipe(teacher=name), run_in(tmp_path)).loss(logits, images, targets)
        for name in names
    )
    assert torch.allclose(trained_here, as_shipped, atol=0.02)
    with pytest.raises(codecframe.MismatchError, match="knows 3 classes"):
        Teacher(ClassifierRecipe(teacher="ours"), run_in(tmp_path, "four", classes=4))


@pytest.mark.parametrize(
    ("capability", "dtype"),
    [("AVX2", torch.float32), ("DEFAULT", torch.float32), ("AVX512", torch.bfloat16)],
)
def test_bfloat16_only_where_it_is_fast(
    capability: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    assert fast_type("cpu") is dtype
    assert fast_type("cuda") is torch.bfloat16
    with autocast("cpu"):
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype is dtype


def test_a_teacher_has_its_share_of_the_loss(tmp_path: Path) -> None:
    model = trained(run_in(tmp_path, "master")).model.eval()
    run, some = run_in(tmp_path), labelled(6)
    images, targets = data.to_tensor(some.images), torch.eye(3)[some.targets]
    logits = torch.randn(6, 3, requires_grad=True)
    with torch.no_grad(), autocast("cpu"):
        soft = model(images).softmax(1)
    log = logits.log_softmax(1)
    hard = -((0.8 * targets + 0.2 / 3) * log).sum(1)
    for share in (0.0, 0.25, 1.0):
        teacher = Teacher(ClassifierRecipe(teacher="master", teaching=share), run)
        found = teacher.loss(logits, images, targets)
        expected = (1 - share) * hard - share * (soft * log).sum(1)
        assert torch.allclose(found, expected, atol=1e-3)
    alone = Teacher(ClassifierRecipe(teaching=0.5), run).loss(logits, images, targets)
    assert torch.allclose(alone, hard, atol=1e-5)
    alone.sum().backward()
    assert logits.grad is not None


def test_teachers_that_cannot_teach_are_refused(tmp_path: Path) -> None:
    recipe = ClassifierRecipe(teacher="master")
    with pytest.raises(codecframe.DataError, match="train 'master' first"):
        Teacher(recipe, run_in(tmp_path))
    trained(run_in(tmp_path, "master"))
    with pytest.raises(codecframe.MismatchError, match="teacher 'master'"):
        Teacher(recipe, run_in(tmp_path, classes=4))
    codec = VaeRecipe(**SMALL).to_dict()
    checkpoint.write(tmp_path / "master.log" / checkpoint.NAME, {}, {"settings": codec})
    with pytest.raises(codecframe.MismatchError, match="'master' is not a classifier"):
        Teacher(recipe, run_in(tmp_path))
