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


def loaded(code: str) -> set[str]:
    """Names of the modules that this code leaves imported."""
    return set(
        python("-c", f"import sys; {code}; print(); print(*sys.modules)").split("\n")[-2].split()
    )


def help_of(*command: str) -> str:
    return f"from codecframe.cli.main import run; assert run({[*command, '--help']}) == 0"


def own(names: set[str]) -> set[str]:
    return {name for name in names if name.startswith("codecframe")}


def test_listing_codecs_loads_no_codec_library() -> None:
    code = "from codecframe.cli.main import run; assert run(['codecs', '--json']) == 0"
    assert (HEAVY - {"numpy"}) & loaded(code) == set()


def test_importing_codecframe_imports_little() -> None:
    """What takes the time of a start is imports: of names that nobody has asked for, none."""
    alone = loaded("import codecframe") - loaded("import lazy_loader")
    assert own(alone) == {"codecframe", "codecframe.core", "codecframe.core.moved"}
    assert len(alone) < 20


def test_help_imports_little() -> None:
    """Of plugins only what says which commands they bring."""
    listed = loaded(help_of()) - loaded("import importlib.metadata, click, lazy_loader, pluggy")
    cli = {"codecframe.cli", *(f"codecframe.cli.{name}" for name in ("groups", "main", "renamed"))}
    core = {"codecframe", "codecframe.core"}
    core |= {f"codecframe.core.{name}" for name in ("errors", "hooks", "moved", "registry")}
    assert own(listed) == cli | core | {plugin.name for plugin in PLUGINS}
    assert len(listed - own(listed)) < 10


@pytest.mark.parametrize("command", ["encode", "select", "serve", "send"])
def test_help_of_a_command_imports_little(command: str) -> None:
    """The command and what its options need: nothing of what it would run."""
    texts = {f"codecframe.cli.{name}" for name in (command, "options", "output")}
    texts |= {"codecframe.core.progress", "codecframe.core.tables", "codecframe_serving.commands"}
    texts |= {f"codecframe_serving.commands.{command}"}
    named = loaded(help_of(command)) - loaded(help_of())
    assert own(named) - texts == set()
    assert len(named - own(named)) < 25


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
