"""What lies beside the package agrees with it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

import codecframe

ROOT = Path(__file__).parents[2]
PYTHONS = {"3.11", "3.12", "3.13"}
pytestmark = pytest.mark.skipif(
    not (ROOT / ".github").exists(), reason="only a checkout has these files"
)


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def test_citation_and_changelog_have_the_version_and_its_date() -> None:
    citation = yaml.safe_load(read("CITATION.cff"))
    assert citation["version"] == codecframe.__version__
    newest = re.search(r"^## (\S+), (\S+)$", read("CHANGELOG.md"), re.MULTILINE)
    assert newest is not None
    assert newest.groups() == (citation["version"], str(citation["date-released"]))


def test_the_pythons_that_are_promised_are_tested() -> None:
    project = tomllib.loads(read("pyproject.toml"))["project"]
    promised = {
        line.rpartition(" ")[2] for line in project["classifiers"] if re.search(r":: 3\.\d+$", line)
    }
    matrix = yaml.safe_load(read(".github/workflows/tests.yml"))["jobs"]["tests"]["strategy"]
    assert set(matrix["matrix"]["python"]) == promised == PYTHONS
    assert {name.partition("-")[0] for name in matrix["matrix"]["os"]} == {
        "ubuntu",
        "macos",
        "windows",
    }


@pytest.mark.parametrize(
    "path", sorted((ROOT / ".github").rglob("*.yml")), ids=lambda path: path.stem
)
def test_github_files_are_yaml(path: Path) -> None:
    assert isinstance(yaml.safe_load(path.read_text(encoding="utf-8")), dict)


def test_a_release_uploads_what_the_tests_built_and_holds_no_token() -> None:
    publish = yaml.safe_load(read(".github/workflows/release.yml"))["jobs"]["publish"]
    tests = yaml.safe_load(read(".github/workflows/tests.yml"))["jobs"]
    assert publish["permissions"] == {"id-token": "write"}
    (down,) = [step for step in publish["steps"] if "download-artifact" in step["uses"]]
    (up,) = [s for s in tests["build"]["steps"] if "upload-artifact" in s.get("uses", "")]
    assert down["with"]["name"] == up["with"]["name"]
    assert "secrets." not in read(".github/workflows/release.yml")


def test_the_image_installs_extras_that_exist_and_runs_as_nobody() -> None:
    text = read("Dockerfile")
    extras = tomllib.loads(read("pyproject.toml"))["project"]["optional-dependencies"]
    (chosen,) = re.findall(r"^ARG EXTRAS=(.+)$", text, re.MULTILINE)
    assert set(chosen.split(",")) <= extras.keys()
    lines = text.splitlines()
    user = next(i for i, line in enumerate(lines) if line.startswith("USER "))
    assert lines[user] != "USER root"
    assert user < next(i for i, line in enumerate(lines) if line.startswith("ENTRYPOINT"))


def test_the_image_is_given_what_the_wheel_is_made_of() -> None:
    hatch = tomllib.loads(read("pyproject.toml"))
    needed = {
        *hatch["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"],
        *hatch["project"]["license-files"],
        hatch["project"]["readme"],
        "pyproject.toml",
        "constraints.txt",
    }
    kept = {line[1:] for line in read(".dockerignore").splitlines() if line.startswith("!")}
    assert kept == needed
