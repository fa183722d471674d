"""A torch module cut in two does what it did."""

from __future__ import annotations

from typing import Any

import pytest

import codecframe

torch = pytest.importorskip("torch")
nn = torch.nn
from codecframe_vae.bottleneck.split import front_of, graph_of, tail_of  # noqa: E402

EXAMPLE = torch.rand(2, 3, 32, 32)


class Net(nn.Module):  # type: ignore[misc, name-defined]
    """With a residual connection, normalisation, and a layer for one size of images."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(inplace=True)
        )
        self.middle = nn.Sequential(nn.Conv2d(8, 12, 3, 2, 1), nn.ReLU(inplace=True), nn.Dropout())
        self.late = nn.Sequential(nn.Conv2d(12, 12, 3, padding=1), nn.SiLU())
        self.last = nn.Linear(12 * 8 * 8, 5)

    def forward(self, x: Any) -> Any:
        x = self.middle(self.stem(x))
        x = x + self.late(x)
        return self.last(torch.flatten(x, 1))


@pytest.fixture(scope="module")
def net() -> Any:
    torch.manual_seed(0)
    made = Net().eval()
    made.stem[1].running_mean.uniform_(-1, 1)
    made.stem[1].running_var.uniform_(0.5, 2)
    return made


@pytest.mark.parametrize("layer", ["stem", "stem.0", "middle", "middle.1"])
def test_front_and_tail_are_the_whole(net: Any, layer: str) -> None:
    graph = graph_of(net, EXAMPLE)
    front, tail = front_of(graph, layer), tail_of(graph, layer, ["late"], EXAMPLE)
    images = torch.rand(5, 3, 32, 32)
    with torch.no_grad():
        scores, late = tail(front(images))
        assert torch.allclose(scores, net(images), atol=1e-5)
        assert torch.allclose(late, net.late(net.middle(net.stem(images))), atol=1e-5)
    own = sum(p.numel() for p in net.parameters())
    assert sum(p.numel() for part in (front, tail) for p in part.parameters()) == own


def test_fronts_take_images_of_other_sizes(net: Any) -> None:
    front = front_of(graph_of(net, EXAMPLE), "middle")
    images = torch.rand(1, 3, 40, 72)
    with torch.no_grad():
        assert torch.allclose(front(images), net.middle(net.stem(images)), atol=1e-5)


def test_parts_can_be_trained_and_the_module_stays(net: Any) -> None:
    graph = graph_of(net, EXAMPLE)
    front, tail = front_of(graph, "middle"), tail_of(graph, "middle", [], EXAMPLE)
    for part in (front, tail):
        part.train()  # exported programs refuse this
        part.requires_grad_(True)
    tail(front(EXAMPLE))[0].sum().backward()
    assert all(p.grad is not None for part in (front, tail) for p in part.parameters())
    assert all(p.grad is None for p in net.parameters())


def test_layers_that_cannot_be_cut_at_are_refused(net: Any) -> None:
    graph = graph_of(net, EXAMPLE)
    with pytest.raises(codecframe.UnknownNameError, match="middle"):
        front_of(graph, "midle")
    with pytest.raises(codecframe.MismatchError, match="goes through"):
        tail_of(graph, "late", [], EXAMPLE)
    with pytest.raises(codecframe.MismatchError, match="makes no"):
        front_of(graph, "last")


def test_modules_that_torch_cannot_follow_are_refused() -> None:
    class Odd(Net):
        def forward(self, x: Any) -> Any:
            return super().forward(x) if float(x.mean()) > 0 else x

    with pytest.raises(codecframe.MismatchError, match="cannot follow"):
        graph_of(Odd().eval(), EXAMPLE)
