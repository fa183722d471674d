"""Modules of before 0.1.0: importing one of them says where it went."""

import sys

_MOVED = {
    **dict.fromkeys(
        (
            *("benchmark", "codec", "errors", "head", "headfile", "hooks", "image", "isobmff"),
            *("parallel", "preprocess", "progress", "registry", "representation", "samples"),
            *("scaling", "settings", "trainer", "yamltext"),
        ),
        "core",
    ),
    **dict.fromkeys(("augment", "huggingface", "raydata", "torch"), "integrations"),
    **dict.fromkeys(
        ("comparison", "database", "demo", "profile", "report", "results", "select"), "evaluation"
    ),
    **dict.fromkeys(("convert", "engine", "transcode"), "pipeline"),
}
"""Package that a module went to under its own name."""
_RENAMED = {
    "classifier": "codecframe.tasks.classification",
    "link": "codecframe_serving",
    "paths": "codecframe.core.files",
    "preset": "codecframe.core.presets",
    "recipe": "codecframe.training.tables",
    "recipefile": "codecframe.training.recipes",
    "stats": "codecframe.core.statistics",
    "tune": "codecframe.tuning",
}


class _Moved:
    """The last finder that Python asks: it finds nothing, and says so."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        del path, target
        package, _, module = name.partition(".")
        if package == "codecframe" and (now := place_of(module)):
            raise ModuleNotFoundError(f"{name} is {now} since codecframe 0.1.0", name=name)


def place_of(module: str) -> str | None:
    """Where a module of before 0.1.0 is now; None for what was none."""
    place = _MOVED.get(module)
    return f"codecframe.{place}.{module}" if place else _RENAMED.get(module)


def explain() -> None:
    """Answer imports of modules that moved with an error that names the new place."""
    sys.meta_path.append(_Moved)
