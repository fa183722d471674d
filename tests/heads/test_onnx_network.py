"""ONNX graphs as torch modules: operators against onnxruntime, and whole graphs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from models import onnx_file
from toys import picture

import codecframe

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from codecframe_onnx import OnnxHead  # noqa: E402
from codecframe_onnx.network.module import OnnxNetwork  # noqa: E402

MAPS = np.random.default_rng(0).normal(size=(2, 4, 6, 7)).astype(np.float32)
F, I = np.float32, np.int64  # noqa: E741


def weights(*shape: int) -> Any:
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


def whole(*values: int) -> Any:
    return np.array(values, np.int64)


def model_of(path: Path, nodes: list[Any], constants: dict[str, Any], version: int, **said: Any):
    """A file with the input `x` and the output `y`."""
    from onnx import TensorProto, helper, numpy_helper

    kind = TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", kind, said.get("shape", MAPS.shape))],
        [helper.make_tensor_value_info("y", said.get("kind", kind), said.get("gives"))],
        [numpy_helper.from_array(np.asarray(one), name) for name, one in constants.items()],
    )
    opset = helper.make_opsetid("", version)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
    onnx.save(model, path)
    return path


def runs(path: Path, x: Any = MAPS) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(path, options).run(["y"], {"x": x})[0]


def case(kind: str, *constants: Any, version: int = 17, **attributes: Any) -> Any:
    name = f"{kind}-{version}-{','.join(map(str, attributes.values()))}-{len(constants)}"
    return pytest.param(kind, constants, version, attributes, id=name)


UNARY = (
    *("Abs", "Ceil", "Cos", "Elu", "Erf", "Exp", "Floor", "HardSigmoid", "HardSwish", "Identity"),
    *("LeakyRelu", "Neg", "Reciprocal", "Relu", "Round", "Selu", "Sigmoid", "Sign", "Sin"),
    *("Softplus", "Softsign", "Tanh", "Mish", "Celu", "GlobalAveragePool", "GlobalMaxPool"),
)
CASES = [
    *(case(kind, version=18) for kind in UNARY),
    *(case(kind, weights(4, 1, 1)) for kind in ("Add", "Sub", "Mul", "Div", "Max", "Min", "Sum")),
    case("Mean", weights(4, 1, 1), weights(7)),
    case("Pow", F(2)),
    case("Gelu", version=20),
    case("Gelu", version=20, approximate="tanh"),
    case("Clip", F(-0.5), F(0.5)),
    case("Clip", F(0), F(6)),
    case("Clip", version=6, min=-0.5, max=0.5),
    case("PRelu", weights(4, 1, 1)),
    case("Softmax"),
    case("Softmax", axis=1),
    case("Softmax", version=11),
    case("LogSoftmax", version=11, axis=2),
    case("ReduceMean", axes=[2, 3]),
    case("ReduceMean", whole(2, 3), version=18, keepdims=0),
    case("ReduceSum", whole(-1)),
    case("ReduceMax"),
    case("ReduceL2", axes=[1]),
    case("ReduceSumSquare", axes=[1]),
    case("Conv", weights(8, 4, 3, 3), weights(8), pads=[1, 1, 1, 1], strides=[2, 2]),
    case("Conv", weights(8, 2, 3, 3), group=2, pads=[0, 1, 2, 0]),
    case("Conv", weights(4, 1, 3, 3), group=4, auto_pad="SAME_UPPER", strides=[2, 2]),
    case("Conv", weights(4, 4, 2, 2), auto_pad="SAME_LOWER"),
    case("Conv", weights(4, 4, 2, 2), dilations=[2, 3], auto_pad="VALID"),
    case("ConvTranspose", weights(4, 3, 2, 2), weights(3), strides=[2, 2]),
    case("MaxPool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
    case("MaxPool", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
    case("MaxPool", kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER"),
    case("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
    case("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1),
    case("AveragePool", kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER"),
    case("BatchNormalization", weights(4), weights(4), weights(4), weights(4) ** 2),
    case("InstanceNormalization", weights(4), weights(4)),
    case("LayerNormalization", weights(7), weights(7)),
    case("LayerNormalization", weights(6, 7), axis=2),
    case("GroupNormalization", weights(4), weights(4), version=21, num_groups=2),
    case("LRN", size=3),
    case("LpNormalization", axis=1),
    case("MatMul", weights(7, 5)),
    case("Resize", F([]), F([1, 1, 2, 2]), mode="nearest", nearest_mode="floor",
         coordinate_transformation_mode="asymmetric"),
    case("Resize", F([]), F([]), whole(2, 4, 9, 10), mode="linear"),
    case("Resize", F([]), F([]), whole(9, 10), version=18, mode="linear", axes=[2, 3]),
    case("Resize", F([]), F([1, 1, 2, 2]), mode="linear",
         coordinate_transformation_mode="align_corners"),
    case("Upsample", F([1, 1, 2, 2]), version=9),
    case("DepthToSpace", blocksize=2),
    case("DepthToSpace", blocksize=2, mode="CRD"),
    case("Reshape", whole(0, -1)),
    case("Flatten"),
    case("Flatten", axis=2),
    case("Transpose", perm=[0, 2, 3, 1]),
    case("Unsqueeze", whole(1, -1)),
    case("Unsqueeze", version=11, axes=[0]),
    case("Slice", whole(1), whole(99), whole(2), whole(2)),
    case("Slice", whole(-1), whole(-99), whole(3), whole(-2)),
    case("Slice", version=9, starts=[1, 0], ends=[3, -1], axes=[1, 2]),
    case("Gather", whole(2, 0), axis=1),
    case("Gather", I(-1), axis=2),
    case("Expand", whole(3, 1, 1, 1, 1)),
    case("Tile", whole(1, 2, 1, 1)),
    case("Pad", whole(0, 0, 1, 2, 0, 0, 0, 1), F(0.5)),
    case("Pad", whole(1, 2), F(0), whole(-1), version=18),
    case("Pad", whole(0, 0, 1, 2, 0, 0, 0, 1), mode="reflect"),
    case("Pad", whole(0, 0, 1, 2, 0, 0, 0, 1), mode="edge"),
    case("Pad", version=2, pads=[0, 0, 1, 1, 0, 0, 1, 1], value=1.0),
    case("Cast", to=10),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "constants", "version", "attributes"), CASES)
def test_an_operator_does_what_onnxruntime_does(
    tmp_path: Path, kind: str, constants: Any, version: int, attributes: Any
) -> None:
    from onnx import TensorProto, helper

    names = [f"c{at}" for at in range(len(constants))]
    node = helper.make_node(kind, ["x", *names], ["y"], **attributes)
    given = dict(zip(names, constants, strict=True))
    said = {"kind": TensorProto.FLOAT16} if kind == "Cast" else {}
    path = model_of(tmp_path / "m.onnx", [node], given, version, **said)
    wanted = runs(path)
    found = OnnxNetwork(str(path), "y")(torch.from_numpy(MAPS))
    assert tuple(found.shape) == wanted.shape
    tolerance = 1e-3 if kind == "Cast" else 2e-5
    assert np.allclose(found.detach().numpy(), wanted, atol=tolerance, rtol=tolerance)


def test_several_outputs_and_their_sizes(tmp_path: Path) -> None:
    from onnx import helper

    nodes = [
        helper.make_node("Split", ["x", "parts"], ["a", "b"], axis=1),
        helper.make_node("Concat", ["b", "a"], ["c"], axis=1),
        helper.make_node("Gemm", ["flat", "w", "bias"], ["y"], alpha=0.5, transB=1),
        helper.make_node("Flatten", ["c"], ["flat"]),
    ]
    nodes = [nodes[0], nodes[1], nodes[3], nodes[2]]
    given = {"parts": whole(1, 3), "w": weights(5, 168), "bias": weights(5)}
    path = model_of(tmp_path / "m.onnx", nodes, given, 17)
    found = OnnxNetwork(str(path), "y")(torch.from_numpy(MAPS)).detach().numpy()
    assert np.allclose(found, runs(path), atol=1e-4)


def sizes_graph(path: Path, shape: Any) -> Path:
    """Pads to even sides as exporters write it: with what it computes of the image's size."""
    from onnx import helper

    def node(kind: str, inputs: str, output: str, **attributes: Any) -> Any:
        return helper.make_node(kind, inputs.split(), [output], **attributes)

    nodes = [
        node("Shape", "x", "s"),
        node("Slice", "s two four", "sides"),
        node("Neg", "sides", "n"),
        node("Div", "n by", "half"),
        node("Mul", "half by", "even"),
        node("Neg", "even", "up"),
        node("Sub", "up sides", "more"),
        node("Concat", "zeros more", "pads", axis=0),
        node("Cast", "pads", "whole", to=7),
        node("Pad", "x whole", "padded"),
        node("GlobalAveragePool", "padded", "pooled"),
        node("Shape", "pooled", "t"),
        node("Gather", "t first", "count"),
        node("Unsqueeze", "count first", "row"),
        node("Concat", "row minus", "flat", axis=0),
        node("Reshape", "pooled flat", "y"),
    ]
    given = {
        "two": whole(2), "four": whole(4), "by": whole(2, 2), "zeros": whole(0, 0, 0, 0, 0, 0),
        "first": I(0), "minus": whole(-1),
    }  # fmt: skip
    given["first"] = whole(0)[0]
    nodes[13] = node("Unsqueeze", "count axis", "row")
    given["axis"] = whole(0)
    return model_of(path, nodes, given, 17, shape=shape)


def test_calculating_with_sizes_can_be_exported_for_any_size(tmp_path: Path) -> None:
    path = sizes_graph(tmp_path / "m.onnx", ("n", 4, "h", "w"))
    module = OnnxNetwork(str(path), "y")
    auto = torch.export.Dim.AUTO
    axes = ({0: torch.export.Dim("n", min=1), 2: auto, 3: auto},)
    images = torch.from_numpy(MAPS)
    program = torch.export.export(module, (images,), dynamic_shapes=axes, strict=False).module()
    for some in (images, images[:1, :, :5, :3]):
        assert np.allclose(program(some).detach(), runs(path, some.numpy()), atol=1e-5)


@pytest.mark.parametrize("shape", [("n", 3, 24, 32), ("n", 24, 32, 3), (1, 3, 24, 32)])
@pytest.mark.parametrize("dtype", ["FLOAT", "FLOAT16", "UINT8"])
def test_a_head_s_graph_gives_the_head_s_scores(tmp_path: Path, shape: Any, dtype: str) -> None:
    head = OnnxHead(onnx_file(tmp_path / "m.onnx", shape, dtype=dtype))
    images = [picture(seed, 24, 32) for seed in range(3)]
    values = torch.from_numpy(head.model_input(images)).float()
    logs = head.log_probabilities(head.torch_model()(values))
    wanted = head.predict(images).probabilities
    assert np.allclose(logs.exp().detach().numpy(), wanted, atol=1e-2)


def test_gradients_of_pixels_are_those_of_the_scores(tmp_path: Path) -> None:
    head = OnnxHead(onnx_file(tmp_path / "m.onnx"))
    image = picture(0, 24, 32)
    targets = np.eye(head.classes, dtype=np.float32)[:1]
    (slope,) = head.pixel_gradients([image], targets)
    at = np.unravel_index(np.abs(slope).argmax(), slope.shape)
    losses = []
    for step in (-8, 8):
        moved = image.astype(int)
        moved[at] += step
        moved = moved.clip(0, 255).astype(np.uint8)
        losses.append((head.loss(head.predict([moved]), [0])[0], int(moved[at])))
    (low, a), (high, b) = losses
    assert slope[at] == pytest.approx((high - low) / (b - a), rel=0.1)


@pytest.mark.parametrize(
    ("kind", "said"),
    [("QuantizeLinear", "calculates with integers"), ("NonZero", "not known here: NonZero")],
)
def test_graphs_without_gradients_are_refused(tmp_path: Path, kind: str, said: str) -> None:
    from onnx import TensorProto, helper

    inputs = ["x", "scale", "zero"] if kind == "QuantizeLinear" else ["x"]
    types = {"QuantizeLinear": TensorProto.UINT8, "NonZero": TensorProto.INT64}
    node = helper.make_node(kind, inputs, ["y"])
    given = {"scale": F(0.1), "zero": np.uint8(3)}
    path = model_of(tmp_path / "m.onnx", [node], given, 17, kind=types[kind])
    with pytest.raises(codecframe.MismatchError, match=said):
        OnnxNetwork(str(path), "y")


def test_a_head_that_cannot_be_followed_has_no_gradients_of_pixels(tmp_path: Path) -> None:
    from onnx import helper

    nodes = [
        helper.make_node("ReduceMean", ["x"], ["m"], axes=[2, 3], keepdims=0),
        helper.make_node("Hardmax", ["m"], ["y"]),
    ]
    path = model_of(tmp_path / "m.onnx", nodes, {}, 13, shape=("n", 3, 8, 8))
    head = OnnxHead(path, outputs="logits")
    images = [picture(0, 8, 8)]
    assert head.pixel_gradients(images, np.eye(3, dtype=np.float32)[:1]) is None
    with pytest.raises(codecframe.MismatchError, match="Hardmax"):
        head.torch_model()


def test_layers_are_named_as_the_nodes(tmp_path: Path) -> None:
    from onnx import helper

    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], name="/features/0/Conv"),
        helper.make_node("Relu", ["c"], ["y"]),
    ]
    path = model_of(tmp_path / "m.onnx", nodes, {"w": weights(4, 4, 1, 1)}, 17)
    module = OnnxNetwork(str(path), "y")
    assert [name for name, _ in module.named_children()] == ["features_0_Conv", "y"]
    assert [name for name, _ in module.named_parameters()] == ["features_0_Conv.weight"]
