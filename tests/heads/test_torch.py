from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from models import LABELS, reference, torch_module
from toys import picture

import codecframe
from codecframe.testing import HeadContract

torch = pytest.importorskip("torch")
from codecframe_torch import TorchHead  # noqa: E402

IMAGES = [picture(seed, 24, 32) for seed in range(5)]


class TestModule(HeadContract):
    head = TorchHead(torch_module(), labels=LABELS, name="means")


class TestResizing(HeadContract):
    head = TorchHead(torch_module(), preprocess={"resize": 20, "crop": 16})


def exported(path: Path, shape: tuple[int, ...], *, dynamic: bool = False) -> str:
    axes = ({0: torch.export.Dim("n", min=1)},) if dynamic else None
    program = torch.export.export(torch_module(), (torch.rand(shape),), dynamic_shapes=axes)
    torch.export.save(program, path)
    return str(path)


def test_a_module_is_switched_to_evaluation() -> None:
    module = torch.nn.Sequential(torch_module(), torch.nn.Dropout(0.9)).train()
    head = TorchHead(module, preprocess={"resize": [24, 32]})
    assert np.allclose(head.predict(IMAGES).scores, reference(IMAGES), atol=1e-5)


def test_a_module_that_views_its_input_gets_it_as_it_wants_it() -> None:
    class Flat(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return x.view(len(x), 3, -1).mean(2)

    head = TorchHead(Flat(), preprocess={"resize": [24, 32]})
    expected = np.stack([image.mean((0, 1)) for image in IMAGES]) / 255
    for _ in range(2):
        assert np.allclose(head.predict(IMAGES).scores, expected, atol=1e-5)


@pytest.mark.parametrize(("shape", "dynamic"), [((2, 3, 24, 32), True), ((1, 3, 24, 32), False)])
def test_exported_programs(tmp_path: Path, shape: tuple[int, ...], dynamic: bool) -> None:
    head = codecframe.get_head(exported(tmp_path / "trees.pt2", shape, dynamic=dynamic))
    assert head.name == "trees" and head.input_shape == (24, 32)
    larger = [picture(seed, 48, 64) for seed in range(5)]
    assert head.predict(larger).scores.shape == (5, 5)
    assert np.allclose(head.predict(IMAGES).scores, reference(IMAGES), atol=1e-5)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchscript(tmp_path: Path) -> None:
    torch.jit.trace(torch_module(), torch.rand(1, 3, 8, 8)).save(tmp_path / "trees.pt")
    head = codecframe.get_head(str(tmp_path / "trees.pt"))
    assert np.allclose(head.predict(IMAGES).scores, reference(IMAGES), atol=1e-5)


class Bomb:
    """Unpickling it leaves a trace."""

    def __init__(self, trace: Path) -> None:
        self.trace = str(trace)

    def __reduce__(self) -> Any:
        return open, (self.trace, "w")


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".pt2", ".ts"])
def test_pickles_are_refused_and_never_run(tmp_path: Path, suffix: str) -> None:
    trace, path = tmp_path / "trace", tmp_path / f"weights{suffix}"
    torch.save({"weight": Bomb(trace)}, path)
    old = tmp_path / f"old{suffix}"
    old.write_bytes(pickle.dumps(Bomb(trace)))
    for pickled in (path, old):
        with pytest.raises(codecframe.DataError, match="pickled"):
            codecframe.get_head(str(pickled))
    assert not trace.exists()


def test_damaged_and_absent_files_are_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = Path(exported(tmp_path / "m.pt2", (1, 3, 8, 8))).read_bytes()
    broken = whole.replace(b'"graph_module"', b'"graph_nodule"')
    for content in (b"", b"nonsense", whole[:-500], broken):
        (tmp_path / "bad.pt2").write_bytes(content)
        with pytest.raises(codecframe.DataError, match=r"bad\.pt2"):
            codecframe.get_head(str(tmp_path / "bad.pt2"))
    with pytest.raises(codecframe.DataError, match="No such file"):
        codecframe.get_head(str(tmp_path / "absent.pt2"))
    assert "Traceback" not in "".join(capfd.readouterr())


def test_what_a_module_refuses_is_a_mismatch() -> None:
    head = TorchHead(torch.nn.Conv2d(3, 4, 9), name="conv")
    with pytest.raises(codecframe.MismatchError, match="'conv' failed on 1 images of 6x5"):
        head.predict([picture(0, 5, 6)])
    with pytest.raises(codecframe.MismatchError, match="shape"):
        head.predict([picture(0, 32, 32)])


def test_not_finite_scores_are_a_mismatch() -> None:
    head = TorchHead(lambda values: values.mean(dim=(2, 3)) / 0, name="nan")
    with pytest.raises(codecframe.MismatchError, match="not finite"):
        head.predict([np.ones((4, 4, 3), np.uint8)])
