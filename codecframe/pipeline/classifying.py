"""What a head sees in images, straight or through a codec."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from codecframe.core import registry
from codecframe.core.classification import CLASSIFICATION, Top
from codecframe.core.codec import Codec
from codecframe.core.errors import UsageError
from codecframe.core.head import TaskHead
from codecframe.core.presets import SettingsLike, settings_for
from codecframe.core.progress import ProgressMaker, Silent
from codecframe.core.settings import Settings
from codecframe.core.tables import Result, Table, percent
from codecframe.core.task import Task
from codecframe.images import open_images
from codecframe.images.sets import ImageSpecs
from codecframe.pipeline.convert import Classified, Failed, classify_set, read_set, without_failed
from codecframe.rate import Accounting, Budget, Keep, settled


@dataclass(frozen=True)
class ClassifiedImage:
    """What a head says of one image.

    Attributes:
        name: the image's name in its set.
        top: the likeliest classes, likeliest first; empty where the head is not a classifier.
        settings: what it was encoded with; None where no codec is between image and head.
        bytes, bpp: what it cost, in all and a pixel; None as `settings`.
        said: what a head of another task says, as its `to_json` gives it.
        words: that in a line.

    Examples:
        >>> seen = cf.classify(photo, "photo_heads:brightness", codec="webp", budget="900B")
        >>> seen.images[0].bytes <= 900, len(seen.images[0].top)
        (True, 2)
    """

    name: str
    top: tuple[Top, ...]
    settings: Settings | None = None
    bytes: int | None = None
    bpp: float | None = None
    said: Mapping[str, Any] | None = None
    words: str = ""

    @property
    def line(self) -> str:
        """What the head says, in a line."""
        if self.said is not None:
            return self.words
        return ", ".join(f"{one.label} {percent(one.probability)} %" for one in self.top)

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        ranking = {"top": [asdict(one) for one in self.top]}
        found: dict[str, Any] = {"name": self.name, **(self.said or ranking)}
        if self.settings is not None:
            found |= {"bytes": self.bytes, "bpp": self.bpp, "settings": self.settings.changed()}
        return found


@dataclass(frozen=True, repr=False)
class Classification(Result):
    """What a head says of images.

    Attributes:
        head: the head's name.
        codec: the codec's name; None where none is between images and head.
        accounting: which bytes are counted.
        images: one for each image, in order.
        failed: those that were left out, and why.

    Examples:
        >>> seen = cf.classify("photos", "photo_heads:brightness")
        >>> [image.name for image in seen.images]
        ['cat/1.png', 'cat/2.png', 'dog/1.png']
    """

    head: str
    codec: str | None
    accounting: str
    images: tuple[ClassifiedImage, ...]
    failed: tuple[Failed, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        found: dict[str, Any] = {"head": self.head, "codec": self.codec, "failed": len(self.failed)}
        found["images"] = [image.to_dict() for image in self.images]
        return found | ({"accounting": self.accounting} if self.codec else {})

    def records(self) -> list[dict[str, Any]]:
        """One for each image, with its likeliest class."""
        return [
            {
                "name": image.name,
                **(asdict(image.top[0]) if image.top else {}),
                **({} if image.said is None else {"said": image.words}),
                **({"bytes": image.bytes, "bpp": image.bpp} if self.codec else {}),
            }
            for image in self.images
        ]

    def shown(self) -> list[str | Table]:
        """A table: what the head sees, with the bytes of each image that went through a codec."""
        if not self.images:
            return ["no image was classified"]
        sizes = [f">bytes ({self.accounting})", ">bpp"] if self.codec else []
        rows = []
        for image in self.images:
            spent = [] if image.bpp is None else [image.bytes, f"{image.bpp:.3f}"]
            rows.append([image.name, *spent, image.line])
        return [Table(["image", *sizes, "what the head sees"], rows)]


def classify(
    images: ImageSpecs,
    head: TaskHead | str,
    *,
    codec: Codec[Any] | str | None = None,
    settings: SettingsLike = None,
    preset: str | Path | None = None,
    budget: Budget | Keep | str | None = None,
    mean: bool = False,
    accounting: Accounting | str = Accounting.PAYLOAD,
    prepare: bool = True,
    top: int = 3,
    progress: ProgressMaker | None = None,
    tell: Callable[[Failed], None] | None = None,
) -> Classification:
    """Predict what images show, straight or through a codec.

    An image that cannot be read, or not be brought under the budget, is left out, and told in the
    result.

    Args:
        images: what `open_images` takes: files, folders, globs, arrays.
        head: a head or its name, a model file, a description, or `module:function`.
        codec: a codec between image and head, or its name; None for none.
        settings: the codec's, as an object, a mapping, or `key=value` texts.
        preset: settings found for a task: one that comes with the codec, or a file.
        budget: bytes to spend, such as `0.8bpp` or `12kB`; or a `Keep`, as `encode` takes it.
        mean: the budget is for the average over the images; without this, for every image.
        accounting: the bytes that count, `payload` or `file`.
        prepare: bring images to the size the head looks at before encoding them.
        top: how many classes to give.
        progress: makes a display; told of each image.
        tell: called with what is left out, when it is.

    Raises:
        UsageError: for settings or a budget without a codec.
        DataError: if something does not exist, or no image is found.
        UnknownNameError, SettingsError, BudgetError: for what does not exist or cannot be read.
        MismatchError: if the codec emits nothing that the head accepts.
        DependencyError: if the head's packages are not installed.

    Examples:
        >>> seen = cf.classify("photo.png", "photo_heads:brightness", codec="webp", budget="900B")
        >>> seen.codec, len(seen.images)
        ('webp', 1)
    """
    if codec is None and (settings or preset is not None or budget is not None):
        raise UsageError("{settings}, {preset} and {budget} need {codec}")
    judge = registry.default().head(head) if isinstance(head, str) else head
    chosen = registry.default().codec(codec) if isinstance(codec, str) else codec
    given, limit, counting = None, None, Accounting(accounting)
    if chosen is not None:
        given, limit = settled(chosen, settings_for(chosen, settings, preset), budget, mean=mean)
    items = open_images(images)
    failed: list[Failed] = []
    with (progress or Silent)(len(items)) as display:
        ready = read_set(items, judge if prepare else None)
        seen = classify_set(ready, judge, chosen, given, limit, counting)
        task = judge.task
        made = [_image(one, top, task) for one in without_failed(seen, failed, tell, display)]
    name = None if chosen is None else chosen.name
    return Classification(judge.name, name, str(counting), tuple(made), tuple(failed))


def _image(result: Classified, top: int, task: Task) -> ClassifiedImage:
    encoded = result.encoded
    made = ClassifiedImage(result.name, ())
    if encoded is not None:
        made = replace(made, settings=encoded.settings, bytes=encoded.size, bpp=encoded.bpp)
    if task is CLASSIFICATION:
        return replace(made, top=tuple(result.prediction.top(top)[0]))
    (said,) = task.to_json(result.prediction)
    return replace(made, said=said, words=task.words(said))
