"""The layers hold, plugins use public names only, and starting up costs little."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import codecframe
from codecframe.cli.main import COMMANDS

ROOT = Path(__file__).parents[1]
PLUGINS = sorted(path.parent for path in (ROOT / "plugins").glob("*/__init__.py"))
HEAVY = {"torch", "numpy", "PIL", "imagecodecs", "onnxruntime", "scipy", "matplotlib", "pandas"}
PUBLIC_MODULES = {
    *("cli", "core.bounds", "core.colour", "core.errors", "core.files", "core.isobmff"),
    "core.registry",
    *("pipeline", "testing", "tuning"),
}
"""Documented submodules that plugins may import from, besides `codecframe` itself."""


def python(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], text=True, capture_output=True, check=True, cwd=ROOT
    )
    return done.stdout


def test_imports_only_go_down() -> None:
    command = [
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports_command as lint; lint()",
    ]
    done = subprocess.run(
        [*command, "--no-cache"], cwd=ROOT, text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_page_on_architecture_names_every_package() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = page.partition("| package |")[2].partition("\n\n")[0].splitlines()[2:]
    named = [re.findall(r"`([\w/]+)/`", row.split("|")[1])[0] for row in rows]
    folders = [path.name for path in (ROOT / "codecframe").iterdir() if path.is_dir()]
    assert sorted(named) == sorted(name for name in folders if name != "__pycache__")


def test_codecframe_imports_no_plugin() -> None:
    files = (ROOT / "codecframe").rglob("*.py")
    names = {name for path in files for name, _ in imports(path)}
    assert {name for name in names if name.startswith("codecframe_")} == set()


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda path: path.name)
def test_plugins_import_only_public_names(plugin: Path) -> None:
    for path in plugin.rglob("*.py"):
        for module, names in imports(path):
            first, _, rest = module.partition(".")
            if first == "codecframe" and rest:
                modules = {rest, rest.partition(".")[0], *(f"{rest}.{name}" for name in names)}
                assert modules & PUBLIC_MODULES, f"{path.name}: {module}"
            elif first == "codecframe":
                allowed = {*codecframe.__all__, *PUBLIC_MODULES}
                assert names <= allowed, f"{path.name}: {names - allowed}"
            elif first.startswith("codecframe_"):
                assert first == plugin.name, f"{path.name} imports another plugin, {module}"


@pytest.mark.parametrize(
    "code",
    [
        "import codecframe",
        "from codecframe.cli.main import run; assert run(['--help']) == 0",
        "from codecframe.cli.main import run; assert run(['--version']) == 0",
    ],
)
def test_starts_without_heavy_libraries(code: str) -> None:
    loaded = python("-c", f"import sys; {code}; print(); print(*sys.modules)").splitlines()[-1]
    assert HEAVY & set(loaded.split()) == set()


def test_listing_codecs_loads_no_codec_library() -> None:
    code = "from codecframe.cli.main import run; assert run(['codecs', '--json']) == 0"
    loaded = python("-c", f"import sys; {code}; print(); print(*sys.modules)").splitlines()[-1]
    assert (HEAVY - {"numpy"}) & set(loaded.split()) == set()


def test_starting_imports_little() -> None:
    """What takes the time of a start is imports: of names that nobody has asked for, none."""

    def loaded(code: str) -> set[str]:
        return set(python("-c", f"import sys; {code}; print(); print(*sys.modules)").split())

    alone = loaded("import codecframe") - loaded("import lazy_loader")
    own = {name for name in alone if name.startswith("codecframe")}
    assert own == {"codecframe", "codecframe.core", "codecframe.core.moved"}
    assert alone & {"click", "pluggy", "importlib.metadata", "dataclasses", "rich"} == set()
    listed = loaded("from codecframe.cli.main import run; assert run(['--help']) == 0")
    commands = {f"codecframe.cli.{name}" for name in COMMANDS} | {"codecframe.cli.output"}
    assert listed & {*commands, "codecframe.core.codec", "rich", "difflib", "yaml"} == set()


def test_no_package_of_the_repository_hides_another() -> None:
    """An editable install puts the root on the path: its folders must not be regular packages."""
    for folder in ("tests", "examples", "benchmarks", "docs", "recipes"):
        assert not (ROOT / folder / "__init__.py").exists()


def test_tracked_files_name_no_workplace() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, text=True, capture_output=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    pattern = re.compile(rb"/" + rb"(home|root|tmp|work)/\w+/\w+/")
    named = [
        name
        for name in listed.stdout.split("\0")
        if name and (ROOT / name).is_file() and pattern.search((ROOT / name).read_bytes())
    ]
    assert named == []


def imports(path: Path) -> Iterator[tuple[str, set[str]]]:
    """(module, names) of every import in a file, also of those inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, set()
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, {alias.name for alias in node.names}
