"""`codecframe doctor` with plugins of strangers, good and bad, found as installed ones are."""

from __future__ import annotations

import os
from importlib import metadata
from pathlib import Path

import pytest
import toys

from codecframe.core.errors import pip_install
from codecframe.evaluation import checkup

PLUGIN = """
import os

import codecframe
from toys import ToyCodec

class Good(ToyCodec):
    name = "good"

class Raises(ToyCodec):
    name = "raises"
    def encode_image(self, image, settings):
        raise KeyError("420")

class Garbage(ToyCodec):
    name = "garbage"
    def decode(self, data):
        return super().decode(data) * 0

class Transposed(ToyCodec):
    name = "transposed"
    def decode(self, data):
        return super().decode(data).transpose(1, 0, 2)

class Unrestored(ToyCodec):
    name = "unrestored"
    def restore(self, payload, settings, shape):
        return payload

class Crashes(ToyCodec):
    name = "crashes"
    def decode(self, data):
        os.abort()

class Absent(ToyCodec):
    name = "absent"
    requires = {{"no_such_thing": "codecframe[heic]", "nor_this": "codecframe[heic]"}}
    def encode_image(self, image, settings):
        raise AssertionError

@codecframe.hookimpl
def codecframe_codecs():
    return [{codecs}]
"""


@pytest.fixture
def stranger(tmp_path: Path):
    """Install a plugin that brings these codecs; returns the environment that knows it alone."""

    def install(codecs: str) -> dict[str, str]:
        (tmp_path / "stranger.py").write_text(PLUGIN.format(codecs=codecs))
        info = tmp_path / "stranger-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[codecframe]\nstranger = stranger\n")
        path = os.pathsep.join(
            [str(tmp_path), str(Path(toys.__file__).parent), os.environ.get("PYTHONPATH", "")]
        )
        return {"PYTHONPATH": path, "CODECFRAME_PLUGINS": "stranger"}

    return install


@pytest.fixture
def doctor(run, stranger):
    """`codecframe doctor` where the only plugin brings these codecs."""
    return lambda codecs, *arguments: run("doctor", *arguments, **stranger(codecs))


@pytest.mark.parametrize(
    ("codec", "fault"),
    [
        ("Raises", "KeyError: '420'"),
        ("Garbage", "levels off"),
        ("Transposed", "decodes into uint8 (64, 48, 3)"),
        ("Unrestored", "not restored"),
    ],
)
def test_a_broken_codec_is_named_with_its_fault(doctor, codec: str, fault: str) -> None:
    found = doctor(f"Good(), {codec}()")
    assert found.code == 1
    assert f"{codec.lower()} is broken: " in found.out
    assert fault in found.out
    assert "good is broken" not in found.out


def test_a_crash_is_named_and_the_other_codecs_are_tried(doctor) -> None:
    found = doctor("Good(), Crashes(), Raises()")
    assert found.code == 1
    assert "crashes is broken: ended its process with exit code" in found.out
    assert "raises is broken: " in found.out and "KeyError: '420'" in found.out
    assert "good is broken" not in found.out


def test_a_codec_that_takes_too_long_is_named(stranger, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in stranger("Good()").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(checkup, "LONGEST", 0.01)
    assert checkup.faults_apart(["good"]) == {"good": ["took over 0 s"]}


def test_faults_are_in_the_json(doctor) -> None:
    found = doctor("Good(), Raises()", "--json")
    assert found.code == 1
    assert list(found.json["broken"]) == ["raises"]
    assert any("KeyError: '420'" in fault for fault in found.json["broken"]["raises"])


def test_what_is_not_installed_is_not_broken(doctor) -> None:
    found = doctor("Absent()")
    assert found.code == 0
    assert "absent needs: pip install 'codecframe[heic]'\n" in found.out


def test_all_that_codecframe_asks_for_is_listed(run) -> None:
    found = run("doctor", "--json")
    assert found.code == 0
    packages = found.json["packages"]
    assert packages["imagecodecs"] == metadata.version("imagecodecs")
    assert {"torch", "onnxruntime", "webp", "pillow-heif"} <= set(packages)
    assert "codecframe" not in packages
    assert "pytest" not in packages


@pytest.mark.parametrize(
    ("requirements", "command"),
    [
        (["pillow"], "'pillow'"),
        (["codecframe[heic]", "codecframe[heic]"], "'codecframe[heic]'"),
        (["codecframe[train]", "codecframe[onnx]"], "'codecframe[train,onnx]'"),
        (["a[x,y]>=2", "b", "a[y, z]>=2", "a<3"], "'a[x,y,z]>=2' 'b' 'a<3'"),
    ],
)
def test_extras_of_a_package_are_one_requirement(requirements: list[str], command: str) -> None:
    assert pip_install(requirements) == f"pip install {command}"
