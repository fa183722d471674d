"""The example notebook: runs as it stands, and is kept small."""

from __future__ import annotations

import base64
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as PilImage
from toys import picture

NOTEBOOK = Path(__file__).parents[2] / "examples" / "front_door.ipynb"


def cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def kinds(notebook: Any) -> set[str]:
    return {
        kind
        for cell in cells(notebook)
        for output in cell["outputs"]
        for kind in output.get("data", {})
    }


def test_the_notebook_is_kept_executed_and_small() -> None:
    text = NOTEBOOK.read_text(encoding="utf-8")
    kept = json.loads(text)
    assert len(text.encode()) < 200_000
    assert [cell["execution_count"] for cell in cells(kept)] == [*range(1, len(cells(kept)) + 1)]
    assert {"text/html", "image/svg+xml", "image/jpeg"} <= kinds(kept)
    assert not re.search(r"/home/|/root/|/tmp/|site-packages", text)


def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    for package in ("ipykernel", "matplotlib", "pandas"):
        pytest.importorskip(package)
    (tmp_path / "shades.py").write_text(
        "import numpy as np\n"
        "def classify(images):\n"
        "    means = np.array([[np.mean(image)] for image in images], dtype=np.float32)\n"
        "    return -((means - np.arange(10) * 25.6) / 8) ** 2\n"
    )
    for i in range(3):
        PilImage.fromarray(picture(i)).save(tmp_path / f"{i}.png")
    made = nbformat.read(NOTEBOOK, 4)
    setup = cells(made)[0]
    assert "skimage" in setup["source"] and "head" in setup["source"]
    # tiny photographs and a head that needs nothing installed
    setup["source"] = (
        "from pathlib import Path\nimport codecframe\n"
        "photos = sorted(Path().glob('*.png'))\nhead = 'shades:classify'"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    kernel = tmp_path / "jupyter" / "kernels" / "python3"
    from ipykernel.kernelspec import write_kernel_spec

    write_kernel_spec(str(kernel))  # this Python, wherever the machine's own kernels are
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    client.NotebookClient(
        made, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    assert {"text/html", "image/svg+xml", "image/jpeg"} <= kinds(made)
    assert (tmp_path / "report.html").stat().st_size > 10_000
    shown = [
        "".join(output.get("data", {}).get("text/plain", ""))
        for cell in cells(made)
        for output in cell["outputs"]
    ]
    assert any(text.startswith("codec") for text in shown)  # the table is the result, not beside it
    sheets = [
        output["data"]["image/jpeg"]
        for cell in cells(made)
        for output in cell["outputs"]
        if "image/jpeg" in output.get("data", {})
    ]
    assert base64.b64decode(sheets[0]).startswith(b"\xff\xd8")
