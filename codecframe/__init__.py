"""codecframe: image codecs chosen, tuned and learned for ML tasks under a bandwidth budget.

The public names are those of `__init__.pyi`. Each is imported on first use: `import codecframe`
loads no codec library, no numpy and no torch, and not even `typing`: that would double its time.
"""

import lazy_loader

from codecframe.core import moved

__version__ = "0.1.0"

_public, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
moved.explain()


def __getattr__(name: str) -> object:
    try:
        return _public(name)
    except AttributeError:
        if now := moved.place_of(name):
            raise AttributeError(f"codecframe.{name} is {now} since codecframe 0.1.0") from None
        raise
