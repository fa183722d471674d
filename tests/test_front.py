"""The front door: all from `import codecframe` alone, and each command is one function."""

from __future__ import annotations

import importlib
import inspect
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from PIL import Image as PilImage
from toys import BrightnessHead, picture

import codecframe as cf
from codecframe.cli.groups import FunctionCommand
from codecframe.cli.main import cli, run
from codecframe.evaluation.bench import benchmarks

PYTHON_ONLY = {"progress", "ready", "tell", "watcher"}
"""Parameters that stand for what the command line shows while it works."""
COMMANDS = {
    "bench": "codecframe.bench",
    "bench device": "codecframe.bench",
    "bench encoders": "codecframe.bench",
    "classify": "codecframe.classify",
    "codecs": "codecframe.codecs",
    "decode": "codecframe.decode_files",
    "demo": "codecframe.demo",
    "doctor": "codecframe.doctor",
    "encode": "codecframe.encode_files",
    "export": "codecframe_vae.export",
    "heads check": "codecframe.check_head",
    "heads show": "codecframe.heads",
    "plugins": "codecframe.plugins",
    "presets": "codecframe.presets",
    "send": "codecframe_serving.send",
    "serve": "codecframe_serving.serve",
    "transcode": "codecframe.transcode",
}
ELSEWHERE = {"adapt", "learn", "profile", "recipe", "report", "select", "train", "tune"}
"""Commands whose functions are tested beside them."""


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command and what is below it, by what users type."""
    context = click.Context(cli)
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        if not isinstance(command, click.Group):
            yield name, command
            continue
        for inner in command.list_commands(context):
            below = command.get_command(context, inner)
            assert below is not None
            yield f"{name} {inner}", below


def test_every_command_has_its_function() -> None:
    found = {name: getattr(command, "function", None) for name, command in commands()}
    known = {name: function for name, function in found.items() if name not in ELSEWHERE}
    assert known == {name: function for name, function in COMMANDS.items() if name != "bench"}


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "bench"])
def test_options_are_the_parameters_of_the_function(name: str) -> None:
    command = dict(commands())[name]
    assert isinstance(command, FunctionCommand)
    module, _, attribute = command.function.rpartition(".")
    signature = inspect.signature(getattr(importlib.import_module(module), attribute))
    options = {one.name for one in command.params} - FunctionCommand.RENDERING
    parameters = {
        one.name for one in signature.parameters.values() if one.kind is not one.VAR_KEYWORD
    } - PYTHON_ONLY
    if name.startswith("bench "):  # its settings are keywords, its name is the command's
        benchmark = benchmarks()[name.partition(" ")[2]]
        parameters = parameters - {"name"} | {i.name for i in benchmark.settings_type.fields()}
    assert options == parameters


@pytest.mark.parametrize("name", [name for name in COMMANDS if not name.startswith("bench")])
def test_options_have_the_defaults_of_the_function(name: str) -> None:
    command: Any = dict(commands())[name]
    module, _, attribute = command.function.rpartition(".")
    signature = inspect.signature(getattr(importlib.import_module(module), attribute))
    for option in command.params:
        if option.required or option.name in FunctionCommand.RENDERING:
            continue
        default = signature.parameters[option.name].default
        said = option.default  # of newer click, an object of its own where there is none
        typed = said if isinstance(said, (bool, int, float, str, tuple)) else None
        assert typed == default or not (typed or default), option.name


def test_the_package_runs_as_the_command_line() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "codecframe.cli", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert cf.__version__ in ran.stdout


def test_every_public_name_is_there_once() -> None:
    stub = Path(cf.__file__).with_suffix(".pyi").read_text(encoding="utf-8")
    names = [line.split()[3] for line in stub.splitlines() if line.startswith("from ")]
    assert len(names) == len(set(names)) and sorted(names) == sorted(cf.__all__)
    assert [name for name in names if not hasattr(cf, name)] == []


# -- the ten commonest jobs, but for those of evaluation -------------------------------------


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    PilImage.fromarray(picture(0, 64, 48)).save(path)
    return path


def test_read_an_image(photo: Path) -> None:
    image = cf.read_image(photo)
    assert (image.shape, image.dtype) == ((64, 48, 3), np.uint8)


def test_go_through_images(photo: Path) -> None:
    assert [(item.name, item.read().shape) for item in cf.open_images(photo.parent)] == [
        ("photo.png", (64, 48, 3))
    ]


@pytest.mark.parametrize("kind", ["path", "text", "bytes", "array", "pillow", "file"])
def test_encode_an_image_of_any_kind(photo: Path, kind: str) -> None:
    image: Any = {
        "path": photo,
        "text": str(photo),
        "bytes": photo.read_bytes(),
        "array": picture(0, 64, 48),
        "pillow": PilImage.open(photo),
        "file": io.BytesIO(photo.read_bytes()),
    }[kind]
    data = cf.encode(image, "webp", quality=40)
    assert data == cf.get_codec("webp").encode(picture(0, 64, 48), quality=40)


def test_encode_to_a_budget(photo: Path) -> None:
    assert len(cf.encode(photo, "webp", budget="900B")) <= 900
    assert len(cf.encode(photo, "jpeg", budget=cf.Budget.parse("2bpp"))) <= 2 * 64 * 48 / 8
    payloads = cf.encode(photo, "jpeg", budget="500B", accounting="payload")
    assert len(cf.get_codec("jpeg").strip(payloads)) < 500 < len(payloads)


def test_encode_with_a_preset_and_settings_over_it(photo: Path) -> None:
    tuned = cf.encode(photo, "jpeg", preset="imagenet", quality=30)
    assert tuned != cf.encode(photo, "jpeg", quality=30)
    assert cf.decode(tuned).shape == (64, 48, 3)


def test_decode_what_the_bytes_say(photo: Path, tmp_path: Path) -> None:
    for codec in ("jpeg", "webp", "png"):
        data = cf.encode(photo, codec)
        assert np.array_equal(cf.decode(data), cf.get_codec(codec).decode(data))
        (tmp_path / "nameless").write_bytes(data)
        assert np.array_equal(cf.decode(tmp_path / "nameless"), cf.decode(data, codec))
    with pytest.raises(cf.DataError):
        cf.decode(b"neither of them")


def test_list_codecs() -> None:
    found = cf.codecs()
    assert {"jpeg", "webp"} <= {info.name for info in found}
    assert "rate knob" in repr(found) and "<table>" in found._repr_html_()
    shown = cf.codecs("webp")
    assert shown.knob == "quality" and "quality *" in repr(shown)
    json.dumps([found.to_dict(), shown.to_dict(), cf.plugins().to_dict(), cf.heads().to_dict()])


def test_classify_straight_and_through_a_codec(photo: Path) -> None:
    head = BrightnessHead()
    straight = cf.classify(photo, head, top=2)
    assert len(straight.images[0].top) == 2 and straight.images[0].bpp is None
    array = cf.read_image(photo)
    through = cf.classify([array, array], head, codec="webp", budget="1bpp")
    assert [image.name for image in through.images] == ["image-1", "image-2"]
    assert all(image.bpp is not None and image.bpp <= 1 for image in through.images)
    assert "what the head sees" in repr(through)


def test_files_into_files(photo: Path, tmp_path: Path) -> None:
    (photo.parent / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    told: list[cf.Failed] = []
    made = cf.encode_files(
        photo.parent, "webp", settings={"quality": 30}, output=tmp_path / "out", tell=told.append
    )
    assert [image.name for image in made.images] == ["photo.png"]
    assert [failed.name for failed in told] == ["broken.png"] and made.failed == tuple(told)
    back = cf.decode_files(made.images[0].output, output=tmp_path / "back.png")
    assert (back.images[0].height, back.images[0].width) == (64, 48)
    small = cf.transcode([photo], tmp_path / "small", "jpeg", budget="2bpp")
    assert small.report.images == 1 and small.report.bpp <= 2


def test_payloads_come_back(photo: Path, tmp_path: Path) -> None:
    made = cf.encode_files(photo, "jpeg", budget="300B", payload=True, output=tmp_path / "p")
    assert made.accounting == "payload" and (tmp_path / "p").stat().st_size <= 300
    how: dict[str, Any] = {"codec": "jpeg", "shape": (64, 48), "level_byte": True}
    back = cf.decode_files(tmp_path / "p", payload=True, output=tmp_path / "p.png", **how)
    assert back.failed == () and len(back.images) == 1


def test_a_pipeline_on_a_link(photo: Path) -> None:
    pipeline = cf.Pipeline("webp", budget="256kbit/s@5fps")
    packet = pipeline.transmit(cf.read_image(photo))
    assert cf.decode(pipeline.receive(packet)).shape == (64, 48, 3)


# -- wrong arguments -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda p: cf.encode(p, "wepb"), cf.UnknownNameError, "'webp'"),
        (lambda p: cf.encode(p, "webp", qualty=3), cf.SettingsError, "qualty"),
        (lambda p: cf.encode(p, "webp", budget="lots"), cf.BudgetError, "lots"),
        (lambda p: cf.encode(p, "webp", preset="none"), cf.UnknownNameError, "preset"),
        (lambda p: cf.encode(None, "webp"), cf.DataError, "NoneType"),
        (lambda p: cf.decode_files(p, payload=True), cf.UsageError, "needs codec and shape"),
        (lambda p: cf.classify(p, BrightnessHead(), budget="1bpp"), cf.UsageError, "need codec"),
        (lambda p: cf.encode_files([p, p.parent], "jpeg", output="-"), cf.UsageError, "one input"),
        (lambda p: cf.presets(None, export="c"), cf.UsageError, "export needs"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_named(photo: Path, call: Any, error: type, said: str) -> None:
    (photo.parent / "second.png").write_bytes(photo.read_bytes())
    with pytest.raises(error, match=said):
        call(photo)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["encode", "a.png", "-c", "jpeg", "--body"], "--body is --payload"),
        (["encode", "a.png", "-c", "jpeg", "--accounting", "bare"], "'bare' is 'payload'"),
        (["transcode", "a", "b", "-c", "jpeg", "--accounting", "bare"], "'bare' is 'payload'"),
        (["decode", "a", "--payload"], "--payload needs --codec and --shape"),
        (["classify", "a", "--head", "cifar10", "-b", "1B"], "--set, --preset and --budget need"),
    ],
)
def test_old_names_and_wrong_arguments_are_bad_usage(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert run(arguments) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import codecframe.classifier", "codecframe.tasks.classification"),
        ("from codecframe.errors import DataError", "codecframe.core.errors"),
        ("import codecframe; codecframe.classifier", "codecframe.tasks.classification"),
        ("import codecframe; codecframe.Packet(0, b'', (1, 1)).body", "payload"),
    ],
)
def test_old_names_in_python_name_the_new_ones(code: str, said: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and said in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("text", ["1234567B", "1.5MB", "0.123456789bpp", "25600001bit/s@29.97fps"])
def test_budgets_are_written_as_they_are_read(text: str) -> None:
    budget = cf.Budget.parse(text)
    assert cf.Budget.parse(str(budget)) == budget
