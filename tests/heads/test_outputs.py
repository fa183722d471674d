"""What a model's output means: read off the model, described, or refused; never guessed wrongly."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from models import LABELS, ending, reference, torch_module, two_outputs
from toys import picture

import codecframe
from codecframe_callable import CallableHead

TINTS = np.array([[0.2, 1, 0.1], [0.3, 0.2, 1]])
IMAGES = [(picture(seed, 24, 32) * TINTS[seed % 2]).astype(np.uint8) for seed in range(5)]
LOGITS = reference(IMAGES)


def softmax(values: np.ndarray) -> np.ndarray:
    grown = np.exp(values - values.max(axis=1, keepdims=True))
    return grown / grown.sum(axis=1, keepdims=True)


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


def shown(head: codecframe.TaskHead) -> np.ndarray:
    """The probability of each class that a user sees, (images, classes)."""
    found = np.zeros((len(IMAGES), head.predict(IMAGES).scores.shape[1]))
    for row, ranking in zip(found, head.predict(IMAGES).top(len(found[0])), strict=True):
        for top in ranking:
            row[top.index] = top.probability
    return found


# -- ONNX graphs ----------------------------------------------------------------------------


@pytest.fixture
def onnx_head() -> Any:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    from codecframe_onnx import OnnxHead

    return OnnxHead


ENDS: list[tuple[tuple[str, ...], str, Callable[[np.ndarray], np.ndarray]]] = [
    ((), "logits", softmax),
    (("Softmax",), "probabilities", softmax),
    (("Softmax", "Identity"), "probabilities", softmax),
    (("Softmax", "Cast"), "probabilities", softmax),
    (("LogSoftmax",), "log-probabilities", softmax),
    (("Softmax", "Log"), "log-probabilities", softmax),
    (("LogSoftmax", "Exp"), "probabilities", softmax),
    (("Sigmoid",), "sigmoid", sigmoid),
    (("Sigmoid", "Flatten"), "sigmoid", sigmoid),
]


@pytest.mark.parametrize("function", [False, True], ids=["", "in a function"])
@pytest.mark.parametrize(
    ("operators", "kind", "truth"), ENDS, ids=lambda item: getattr(item, "__name__", str(item))
)
def test_what_ends_a_graph_is_read(
    tmp_path: Path,
    onnx_head: Any,
    operators: tuple[str, ...],
    kind: str,
    truth: Callable[[np.ndarray], np.ndarray],
    function: bool,
) -> None:
    function = function and bool(operators)
    head = onnx_head(ending(tmp_path / "m.onnx", *operators, function=function))
    assert head.outputs == kind
    assert np.allclose(shown(head), truth(LOGITS), atol=1e-5)
    prediction = head.predict(IMAGES)
    assert np.allclose(prediction.probabilities, softmax(LOGITS), atol=1e-4)
    assert prediction.scores.argmax(axis=1).tolist() == LOGITS.argmax(axis=1).tolist()


def test_a_softmax_that_the_graph_does_not_show_is_seen_in_the_values(
    tmp_path: Path, onnx_head: Any
) -> None:
    head = onnx_head(ending(tmp_path / "m.onnx", "Softmax", "Abs"))
    assert np.allclose(shown(head), softmax(LOGITS), atol=1e-5)
    assert "sum to 1" in head.details()["scores"]


@pytest.mark.parametrize(
    ("operator", "outputs"),
    [
        ("Softmax", "logits"),
        ("Softmax", "sigmoid"),
        ("Sigmoid", "logits"),
        ("LogSoftmax", "logits"),
    ],
)
def test_a_description_that_the_graph_contradicts_is_refused(
    tmp_path: Path, onnx_head: Any, operator: str, outputs: str
) -> None:
    with pytest.raises(codecframe.MismatchError, match=f"`outputs: {outputs}`.*{operator}"):
        onnx_head(ending(tmp_path / "m.onnx", operator), outputs=outputs)


def test_without_the_package_onnx_a_description_is_needed(
    tmp_path: Path, onnx_head: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = ending(tmp_path / "m.onnx", "Softmax")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(codecframe.DependencyError, match=r"codecframe\[onnx\]"):
        onnx_head(path)
    assert np.allclose(shown(onnx_head(path, outputs="probabilities")), softmax(LOGITS), atol=1e-5)


# -- one column -----------------------------------------------------------------------------

SECOND = sigmoid(LOGITS[:, :1])
BINARY = np.concatenate([1 - SECOND, SECOND], axis=1)


@pytest.mark.parametrize(
    ("operators", "outputs"),
    [
        (("Sigmoid",), None),
        (("Sigmoid",), "probabilities"),
        (("Sigmoid",), "sigmoid"),
        ((), "logits"),
        (("Sigmoid", "Log"), "log-probabilities"),
        (("Sigmoid", "Abs"), "probabilities"),
    ],
)
def test_one_column_tells_two_classes_apart(
    tmp_path: Path, onnx_head: Any, operators: tuple[str, ...], outputs: str | None
) -> None:
    path = ending(tmp_path / "m.onnx", *operators, columns=1)
    head = onnx_head(path, outputs=outputs, labels=["no", "yes"])
    assert np.allclose(shown(head), BINARY, atol=1e-5)
    prediction = head.predict(IMAGES)
    assert prediction.labels == ("no", "yes") and head.classes == 2
    right = (SECOND[:, 0] > 0.5).astype(int).tolist()
    assert head.pseudo_targets(prediction) == right and len(set(right)) == 2
    assert head.score(prediction, right).all()
    assert head.score(prediction, [1 - one for one in right]).sum() == 0
    last = onnx_head(path, outputs=outputs).predict([])
    assert last.scores.shape == (0, 2)
    first, other = prediction.one(right.index(0)), prediction.one(right.index(1))
    assert head.divergence(first, other)[0] > 1e-4
    assert head.loss(prediction, right) == pytest.approx(-np.log(BINARY.max(axis=1)), abs=1e-4)


@pytest.mark.parametrize(
    ("operators", "options", "message"),
    [
        ((), {}, "`outputs: logits`.*`outputs: probabilities`.*`labels`"),
        ((), {"labels": ["no", "yes"]}, "one number an image"),
        (("Softmax",), {}, "always 1"),
        (("Softmax",), {"outputs": "probabilities"}, "always 1"),
        (("Sigmoid",), {"labels": ["yes"]}, "1 labels: name both"),
        (("Sigmoid",), {"labels": ["a", "b", "c"]}, "3 labels: name both"),
    ],
)
def test_one_column_that_is_not_clear_is_refused_when_it_is_opened(
    tmp_path: Path, onnx_head: Any, operators: Any, options: Any, message: str
) -> None:
    with pytest.raises(codecframe.MismatchError, match=message):
        onnx_head(ending(tmp_path / "m.onnx", *operators, columns=1), **options)


@pytest.mark.parametrize("shape", [(-1,), (-1, 1), (-1, 1, 1, 1)])
def test_one_number_an_image_of_any_shape(shape: tuple[int, ...]) -> None:
    def chance(images: Any) -> Any:
        return sigmoid(reference(images)[:, 0]).reshape(shape)

    assert np.allclose(shown(CallableHead(chance, outputs="probabilities")), BINARY, atol=1e-5)
    for images in (IMAGES, IMAGES[:1]):
        with pytest.raises(codecframe.MismatchError, match=r"scores of shape .*outputs: logits"):
            CallableHead(chance).predict(images)


# -- many classes ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outputs", "values", "message"),
    [
        ("probabilities", [[0.9, 0.8, 0.7]], "sum to 2.4.*outputs: sigmoid"),
        ("probabilities", [[-3.0, 2.0, 1.0]], "from -3 to 2"),
        ("sigmoid", [[0.5, 7.0]], "from 0.5 to 7"),
        ("log-probabilities", [[0.5, -7.0]], "say `outputs: logits`"),
    ],
)
def test_values_that_cannot_be_what_is_described_are_refused(
    outputs: str, values: Any, message: str
) -> None:
    head = CallableHead(lambda images: values, outputs=outputs)
    with pytest.raises(codecframe.MismatchError, match=message):
        head.predict(IMAGES[:1])


def test_saturated_sigmoids_stay_finite_and_in_order() -> None:
    head = CallableHead(lambda images: [[0.0, 1.0, 0.25]] * len(images), outputs="sigmoid")
    assert np.allclose(shown(head), [[0, 1, 0.25]] * len(IMAGES), atol=1e-6)


def test_numbers_that_are_logits_stay_as_they_are() -> None:
    for values in ([[0.2, 0.3, 0.1]], [[1.0, 1.0, -1.0]], [[0.0, 0.0, 0.0]], [[3.0, 4.0, 5.0]]):
        head = CallableHead(lambda images, v=values: v)
        assert np.array_equal(head.predict(IMAGES[:1]).scores, np.array(values, np.float32))
        assert head.outputs == "logits"


def test_a_function_s_probabilities_are_seen() -> None:
    head = CallableHead(lambda images: softmax(reference(images)))
    assert np.allclose(shown(head), softmax(LOGITS), atol=1e-5)
    assert head.options().outputs == "probabilities"


# -- several outputs ------------------------------------------------------------------------


def test_several_onnx_outputs_need_a_name(tmp_path: Path, onnx_head: Any) -> None:
    path = two_outputs(tmp_path / "m.onnx")
    with pytest.raises(codecframe.MismatchError, match=r"features \(n, 5\), shades \(n, 3\).*NAME"):
        onnx_head(path)
    with pytest.raises(codecframe.MismatchError, match=r"no output 'scores'.*features \(n, 5\)"):
        onnx_head(path, output="scores")
    features = onnx_head(path, output="features")
    assert np.allclose(features.predict(IMAGES).scores, LOGITS, atol=1e-5)
    for head in (onnx_head(path, output="shades"), onnx_head(path, labels=["r", "g", "b"])):
        means = np.stack([image.mean(axis=(0, 1)) / 255 for image in IMAGES])
        assert np.allclose(head.predict(IMAGES).scores, means, atol=1e-5)
        assert head.details()["outputs"][1] == "shades: float (n, 3), the scores"
    (tmp_path / "head.yaml").write_text("model: m.onnx\noutput: features\n")
    described = codecframe.get_head(str(tmp_path / "head.yaml"))
    assert described.predict(IMAGES).scores.shape == (5, 5)


class Pair(NamedTuple):
    logits: Any
    aux: Any


def three(images: Any) -> np.ndarray:
    return reference(images)[:, :3]


@pytest.mark.parametrize(
    ("several", "output"),
    [
        (lambda images: {"features": three(images), "scores": reference(images)}, "scores"),
        (lambda images: (three(images), reference(images)), "1"),
        (lambda images: (three(images), reference(images)), 1),
        (lambda images: Pair(reference(images), three(images)), "logits"),
    ],
)
def test_several_results_of_a_function_need_a_name(several: Any, output: Any) -> None:
    assert np.allclose(CallableHead(several, output=output).predict(IMAGES).scores, LOGITS)
    assert np.allclose(CallableHead(several, labels=LABELS).predict(IMAGES).scores, LOGITS)
    with pytest.raises(codecframe.MismatchError, match=r"\(5, 3\).*Say `output: NAME`"):
        CallableHead(several).predict(IMAGES)
    with pytest.raises(codecframe.MismatchError, match="no output 'other'"):
        CallableHead(several, output="other").predict(IMAGES)


def test_one_possible_result_is_clear_and_one_array_has_no_name() -> None:
    head = CallableHead(lambda images: {"loss": np.float32(3), "scores": reference(images)})
    assert np.allclose(head.predict(IMAGES).scores, LOGITS)
    with pytest.raises(codecframe.MismatchError, match="one array without a name"):
        CallableHead(reference, output="scores").predict(IMAGES)


# -- torch ----------------------------------------------------------------------------------


def ends(torch: Any) -> dict[str, tuple[Any, str, Callable[[np.ndarray], np.ndarray]]]:
    nn = torch.nn

    class Own(nn.Module):
        """Has a softmax, and does not use it."""

        def __init__(self, apply: bool) -> None:
            super().__init__()
            self.payload, self.softmax, self.apply_it = torch_module(), nn.Softmax(1), apply

        def forward(self, values: Any) -> Any:
            scores = self.payload(values)
            return scores.softmax(1) if self.apply_it else scores

    return {
        "payload": (torch_module(), "logits", softmax),
        "softmax": (nn.Sequential(torch_module(), nn.Softmax(1)), "probabilities", softmax),
        "log-softmax": (
            nn.Sequential(torch_module(), nn.LogSoftmax(1), nn.Identity()),
            "log-probabilities",
            softmax,
        ),
        "nested": (
            nn.Sequential(nn.Sequential(torch_module(), nn.Sigmoid()), nn.Flatten()),
            "sigmoid",
            sigmoid,
        ),
        "unused": (Own(False), "logits", softmax),
        "used": (Own(True), "probabilities", softmax),
    }


@pytest.mark.parametrize("form", ["module", "exported", "scripted", "traced"])
@pytest.mark.parametrize("name", ["payload", "softmax", "log-softmax", "nested", "unused", "used"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_ends_a_torch_module_is_read(tmp_path: Path, name: str, form: str) -> None:
    torch = pytest.importorskip("torch")
    from codecframe_torch import TorchHead

    module, kind, truth = ends(torch)[name]
    example = torch.rand(2, 3, 24, 32)
    if form == "exported":
        axes = ({0: torch.export.Dim("n", min=1)},)
        program = torch.export.export(module.eval(), (example,), dynamic_shapes=axes)
        torch.export.save(program, tmp_path / "m.pt2")
        head: Any = codecframe.get_head(str(tmp_path / "m.pt2"))
    elif form == "scripted":
        torch.jit.trace(module.eval(), example).save(tmp_path / "m.pt")
        head = codecframe.get_head(str(tmp_path / "m.pt"))
    else:
        head = TorchHead(torch.fx.symbolic_trace(module) if form == "traced" else module)
    assert np.allclose(shown(head), truth(LOGITS), atol=1e-5)
    assert head.outputs == kind


@pytest.mark.parametrize("outputs", ["logits", "probabilities", "log-probabilities", "sigmoid"])
@pytest.mark.parametrize("columns", [1, 2, 5])
def test_what_tuning_differentiates_is_what_is_measured(outputs: str, columns: int) -> None:
    torch = pytest.importorskip("torch")
    from codecframe_torch import TorchHead

    last = {
        "logits": lambda scores: scores,
        "probabilities": lambda scores: scores.sigmoid() if columns == 1 else scores.softmax(1),
        "log-probabilities": lambda s: s.sigmoid().log() if columns == 1 else s.log_softmax(1),
        "sigmoid": lambda scores: scores.sigmoid(),
    }[outputs]
    payload = torch_module()
    head = TorchHead(lambda values: last(payload(values)[:, :columns]), outputs=outputs)
    scores = head.torch_model()(torch.from_numpy(head.model_input(IMAGES)))
    logs = head.log_probabilities(scores).detach().numpy()
    assert np.allclose(np.exp(logs), head.predict(IMAGES).probabilities, atol=1e-5)
    assert logs.shape == (5, max(2, columns))


def test_a_torch_module_with_several_outputs() -> None:
    pytest.importorskip("torch")
    from codecframe_torch import TorchHead

    payload = torch_module()

    def several(values: Any) -> Any:
        scores = payload(values)
        return {"scores": scores, "hidden": values, "few": scores[:, :3], "loss": None}

    with pytest.raises(codecframe.MismatchError, match=r"scores \(5, 5\).*few \(5, 3\)"):
        TorchHead(several).predict(IMAGES)
    head = TorchHead(several, output="scores")
    assert np.allclose(head.predict(IMAGES).scores, LOGITS, atol=1e-5)
    targets = softmax(LOGITS).astype(np.float32)
    assert head.pixel_gradients(IMAGES, targets)[0].shape == (24, 32, 3)


# -- labels ---------------------------------------------------------------------------------


def openers(folder: Path) -> list[Callable[[Any], Any]]:
    """Every head of a stranger's model, with labels."""
    made: list[Callable[[Any], Any]] = [lambda labels: CallableHead(reference, labels=labels)]
    try:
        from codecframe_torch import TorchHead

        module = torch_module()
        made.append(lambda labels: TorchHead(module, labels=labels))
    except ImportError:
        pass
    try:
        from codecframe_onnx import OnnxHead

        path = ending(folder / "m.onnx")
        made.append(lambda labels: OnnxHead(path, labels=labels))
    except ImportError:
        pass
    return made


def test_labels_are_names_or_a_file_with_one_a_line(tmp_path: Path) -> None:
    file = tmp_path / "classes.txt"
    file.write_bytes(b"\xef\xbb\xbf" + "\r\n".join([*LABELS, "", ""]).encode())
    for opened in openers(tmp_path):
        for labels in (str(file), file, LABELS, list(LABELS)):
            assert opened(labels).labels == LABELS
        with pytest.raises(codecframe.DataError, match=r"absent\.txt"):
            opened("absent.txt")


@pytest.mark.parametrize(
    ("spec", "hint"),
    [
        ("lite2.py:head", "lite2:head"),
        ("./lite2.py:head", "lite2:head"),
        ("models/lite2.py:head.predict", "models.lite2:head.predict"),
        ("lite2.py", "lite2:FUNCTION"),
        ("../lite2.py:head", "lite2:head, in the folder"),
    ],
)
def test_a_python_file_gets_the_hint(spec: str, hint: str) -> None:
    with pytest.raises(codecframe.DataError, match=hint):
        codecframe.get_head(spec)
