"""The network of a head, whatever it is made of, for learning a codec in front of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from models import onnx_file
from toys import picture

import codecframe

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from torch import nn  # noqa: E402

from codecframe_onnx import OnnxHead  # noqa: E402
from codecframe_torch import TorchHead  # noqa: E402
from codecframe_vae.bottleneck.network import example_of, network_of  # noqa: E402
from codecframe_vae.bottleneck.split import front_of, graph_of, tail_of  # noqa: E402

IMAGES = [picture(seed, 32, 32) for seed in range(3)]


class Net(nn.Module):
    """A small network with a shape written as a number of images."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(3, 8, 3, 2, padding=1)
        self.second = nn.Conv2d(8, 8, 3, 2, padding=1)
        self.last = nn.Linear(8, 4)

    def forward(self, x: Any) -> Any:
        x = torch.relu(self.second(torch.relu(self.first(x))))
        return self.last(x.mean((2, 3)).reshape(x.shape[0], 8))


class Folded(Net):
    """The number of images is folded into another axis."""

    def forward(self, x: Any) -> Any:
        y = super().forward(x)
        return y.reshape(y.shape[0] * 2, 2).tanh().reshape(y.shape[0], 4)


def exported(module: Any, path: Path, count: int) -> str:
    program = torch.export.export(module.eval(), (torch.zeros(count, 3, 32, 32),))
    torch.export.save(program, path)
    return str(path)


def agrees(head: Any, network: Any, count: int = 3) -> bool:
    values = torch.from_numpy(head.model_input(IMAGES[:count])).float()
    if head.preprocess.layout == "nhwc":
        values = values.permute(0, 3, 1, 2)
    found = head.log_probabilities(network(values)).exp().detach().numpy()
    return bool(np.allclose(found, head.predict(IMAGES[:count]).probabilities, atol=1e-3))


def test_a_torch_module_is_its_own_network() -> None:
    module = Net()
    assert network_of(TorchHead(module, preprocess={"crop": 32})) is module


def test_channels_last_and_one_of_several_outputs() -> None:
    class Odd(Net):
        def forward(self, x: Any) -> Any:
            return {"features": x, "scores": super().forward(x.permute(0, 3, 1, 2))}

    said = {"crop": 32, "layout": "nhwc"}
    head = TorchHead(Odd(), preprocess=said, output="scores")
    network = network_of(head)
    assert network(example_of(head)).shape == (2, 4)
    assert agrees(head, network)


@pytest.mark.parametrize("count", [1, 4])
def test_a_program_of_a_fixed_number_of_images_takes_any(tmp_path: Path, count: int) -> None:
    head = codecframe.get_head(exported(Net(), tmp_path / "net.pt2", count))
    network = network_of(head)
    assert agrees(head, network) and agrees(head, network, 1)
    some = example_of(head, 2)
    again = torch.export.export(network, (some,), dynamic_shapes=({0: torch.export.Dim("n")},))
    assert again.module()(example_of(head, 3)).shape == (3, 4)


def test_one_that_folds_its_one_image_away_is_mapped(tmp_path: Path) -> None:
    head = codecframe.get_head(exported(Folded(), tmp_path / "net.pt2", 1))
    assert agrees(head, network_of(head))


@pytest.mark.parametrize("dtype", ["FLOAT", "UINT8"])
@pytest.mark.parametrize("shape", [("n", 3, 32, 32), ("n", 32, 32, 3), (1, 3, 32, 32)])
def test_an_onnx_file(tmp_path: Path, shape: Any, dtype: str) -> None:
    head = OnnxHead(onnx_file(tmp_path / "m.onnx", shape, dtype=dtype))
    assert agrees(head, network_of(head))


def test_an_onnx_file_can_be_cut_in_two(tmp_path: Path) -> None:
    example = torch.rand(2, 3, 32, 32)
    path = tmp_path / "net.onnx"
    program = torch.onnx.export(
        Net().eval(), (example,), dynamo=True, verbose=False, dynamic_shapes=({0: "n"},)
    )
    program.save(path)
    network = network_of(OnnxHead(path))
    convolutions = [name for name, one in network.named_modules() if "Conv" in str(one)]
    layer = next(filter(None, convolutions))
    graph = graph_of(network, example)
    front, tail = front_of(graph, layer), tail_of(graph, layer, [], example)
    for images in (example, torch.rand(3, 3, 32, 32)):
        assert torch.allclose(tail(front(images))[0], network(images), atol=1e-5)
    assert front(torch.rand(1, 3, 64, 48)).shape == (1, 8, 32, 24)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda x: (x.mean((2, 3)) > 0).float(), "no gradients"),
        (lambda x: x.mean((2, 3)).detach(), "no gradients"),
        (lambda x: x.flatten(1)[:, :64] @ torch.ones(32, 4), "does not take 2 images"),
    ],
)
def test_what_cannot_be_learned_is_told(function: Any, said: str) -> None:
    head = TorchHead(function, preprocess={"crop": 32}, name="odd", outputs="logits")
    with pytest.raises(codecframe.MismatchError, match=said):
        network_of(head)


def test_heads_of_other_kinds_are_told() -> None:
    from codecframe_callable.head import CallableHead

    head = CallableHead(lambda images: np.zeros((len(images), 2)), name="own")
    with pytest.raises(codecframe.MismatchError, match="torch can differentiate"):
        network_of(head)
