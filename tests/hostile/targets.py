"""What is damaged, and what is then done with it."""

from __future__ import annotations

import asyncio
import io
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
import mutation
import numpy as np
import toys
from PIL import Image as PilImage
from toyprofiles import make_table
from watch import Mutate, Use

from codecframe.core import registry
from codecframe.core.codec import Codec
from codecframe.core.errors import DataError
from codecframe.core.image import limit_pixels, max_pixels
from codecframe.core.layers import LayeredSettings
from codecframe.core.representation import PIXELS
from codecframe.evaluation.profile import ProfileTable
from codecframe.images import read_image
from codecframe.rate import Accounting, Budget
from codecframe.testing import natural_image, noise_image

FIXTURES = Path(__file__).parents[1] / "fixtures"


def _with_toys() -> None:
    """Let the toys be installed: in a process of its own."""
    found = registry.Registry()
    found.load_installed()
    found.register(toys.ToyPlugin(), "toys")
    registry.default.cache_clear()
    mock.patch.object(registry, "default", lambda: found).start()


def make_profile(folder: Path) -> list[Path]:
    _with_toys()
    path = folder / "a.profile"
    make_table(path, labelled=True).close()
    return [path]


def use_profile(path: Path) -> None:
    """As `select` and `report` do."""
    if "toy" not in registry.default().codecs:
        _with_toys()
    from codecframe.evaluation import report
    from codecframe.evaluation.select import select

    with ProfileTable.open(path) as table:
        table.rows()
        asked = Budget.parse("300B", "mean"), *map(Budget.parse, ("4bpp", "256kbit/s@5fps"))
        for budget in asked:
            found = select([table], budget, Accounting.PAYLOAD)
            found.to_dict()
            [candidate.label for candidate in found.candidates]
        report.make_report([table], found)


def make_preset(folder: Path) -> list[Path]:
    codec = registry.default().codec("jpeg")
    assert codec.presets is not None
    return [Path(shutil.copy(min(codec.presets.glob("*.yaml")), folder / "a.yaml"))]


def use_preset(path: Path) -> None:
    from codecframe.core.presets import describe, parse_spec

    codec, settings = parse_spec(f"jpeg:preset={path}")
    codec.exports(settings)
    describe(codec, settings)
    codec.encode(natural_image(16, 24), settings)


RECIPE = """\
extends: base.yaml
kind: vae
name: signs
images: [signs/train, signs/more]
labels: folders
where: {split: train, kind: '7'}
limit: 100
epochs: 40
rates: [0.2, 0.8]
shares: [0.5, 0.5]
lambdas: [1.0e-4, 1.0e-6]
head: [256, 1]
"""


def make_recipe(folder: Path) -> list[Path]:
    path = folder / "a.yaml"
    path.write_text(RECIPE.replace("extends: base.yaml\n", ""))
    return [path]


def use_recipe(path: Path) -> None:
    from codecframe.training.recipes import IMAGE_KEYS, open_recipe_images, read_recipe

    recipe = read_recipe(path)
    trainer = registry.default().trainer(recipe["kind"])
    general = {key: recipe.pop(key) for key in ("kind", "name", *IMAGE_KEYS) if key in recipe}
    trainer.settings_type.from_dict(recipe)
    open_recipe_images(general, path.parent)


HEAD = """\
model: model.pt2
name: signs
labels: [ash, birch, cedar, fir, oak]
outputs: logits
preprocess: {resize: 48, crop: 48, mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25]}
"""


def make_head(folder: Path) -> list[Path]:
    path = folder / "a.yaml"
    path.write_text(HEAD)
    return [path]


def use_head(path: Path) -> None:
    from codecframe.core.headfile import load
    from codecframe.tasks.classification import HeadOptions

    _, options = load(path)
    HeadOptions.read(options)


def make_model(folder: Path) -> list[Path]:
    return [Path(shutil.copy(FIXTURES / "vae" / "tiny.safetensors", folder / "a.safetensors"))]


def use_model(path: Path) -> None:
    """Encode, decode, classify, look at what it says of itself."""
    codec, head = registry.default().codec(str(path)), registry.default().head(str(path))
    registry.default()._opened.clear()
    images = [natural_image(20, 36, seed=1)]
    for level in (0, 9):
        datas = codec.encode_many(images, codec.settings_type().at_level(level))
        codec.decode_many(datas)
    ready = [head.prepare(image) for image in images]
    latents = codec.decode_latents_many(codec.encode_many(ready, codec.settings_type()))
    head.predict(latents).top(2)
    str((codec.summary, codec.emits, head.labels, head.reference, head.input_shape))


# -- codecs and images -----------------------------------------------------------------------------

_LEVELS = 5


def _codecs() -> list[Codec[Any]]:
    return registry.available(registry.default().codecs.values())


def _with_layers() -> list[Codec[Any]]:
    """The codecs, and one of the layers of two."""
    return [*_codecs(), registry.default().codec("vae+webp")]


def _at(codec: Codec[Any], number: int) -> Any:
    """Settings from fewest bytes to most, by number; of codecs of layers the odd ones with a
    picture.
    """
    knob = codec.settings_type.knob()
    most = knob.levels - 1 if knob else 0
    settings = codec.settings_type().at_level(number * most // (_LEVELS - 1))
    if isinstance(settings, LayeredSettings) and number % 2:
        return settings.replace(picture=number * (settings.picture_levels() - 1) // _LEVELS)
    return settings


def _fixtures() -> Iterator[tuple[str, Path]]:
    """Names of codecs, and an encoding of each kind."""
    names = {codec.name for codec in _codecs()}
    for folder in sorted(FIXTURES.iterdir()):
        if folder.name in names - {"vae"}:  # those of the VAE are of another model
            yield from (
                (folder.name, path)
                for path in sorted(folder.iterdir())
                if ".decoded." not in path.name
            )


def make_codecs(folder: Path) -> list[Path]:
    """Encodings by each codec: of several images at several levels, and the fixtures."""
    made = []
    for codec in _with_layers():
        for number in range(_LEVELS):
            settings = _at(codec, number)
            image = natural_image(24 + 9 * number, 49 - 8 * number, seed=number)
            made.append(folder / f"{codec.name}.{number}{codec.extension}")
            made[-1].write_bytes(codec.encode(image, settings))
    for name, path in _fixtures():
        made.append(folder / f"{name}.{path.name}")
        made[-1].write_bytes(path.read_bytes())
    return made


def use_codecs(path: Path) -> None:
    """To pixels or latents, and what is asked of data beside that."""
    codec = registry.default().codec(path.name.partition(".")[0])
    data = path.read_bytes()
    learned = codec.emits != (PIXELS,)
    with limit_pixels(1 << 20 if learned else max_pixels()):  # learned: 2 million pixels a second
        if learned:
            codec.decode_latents(data)
        image = codec.decode(data)
    assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
    codec.icc_profile(data)
    codec.strip(data)


def make_payloads(folder: Path) -> list[Path]:
    """Payloads by each codec, after a line with settings and shape."""
    made = []
    for codec in _with_layers():
        for number in range(_LEVELS):
            settings = _at(codec, number)
            image = natural_image(24 + 9 * number, 49 - 8 * number, seed=number)
            said = {"level": settings.level, "shape": image.shape[:2]}
            if isinstance(settings, LayeredSettings):
                said["picture"] = settings.picture
            made.append(folder / f"{codec.name}.{number}.payload")
            payload = codec.strip(codec.encode(image, settings))
            made[-1].write_bytes(json.dumps(said).encode() + b"\n" + payload)
    return made


def use_payloads(path: Path) -> None:
    """As a server does it."""
    from codecframe.core.image import check_size

    line, _, payload = path.read_bytes().partition(b"\n")
    said = json.loads(line)
    codec = registry.default().codec(path.name.partition(".")[0])
    settings = codec.settings_type().at_level(said["level"])
    if "picture" in said:
        settings = settings.replace(picture=said["picture"])
    height, width = said["shape"]
    if not 0 < height * width < 1 << 20:
        raise DataError("shape", "is larger than a server with a head for small images takes")
    check_size(height, width, codec.name)
    data = codec.restore(payload, settings, (height, width))
    if codec.decode(data).shape[:2] != (height, width):
        raise DataError("shape", "is not as was said")


def _pictures() -> Iterator[tuple[str, bytes]]:
    """Names with suffixes, and files of every kind that Pillow writes and reads."""
    image = PilImage.fromarray(np.array(natural_image(37, 53)))
    deep = PilImage.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    exif = PilImage.Exif()
    exif[0x0112] = 6
    kinds: list[tuple[str, PilImage.Image, dict[str, Any]]] = [
        *((kind, image, {}) for kind in ("bmp", "gif", "ico", "jp2", "pcx", "png", "ppm")),
        *((kind, image, {}) for kind in ("sgi", "tga", "tiff", "webp", "dds", "avif", "jpg")),
        *((kind, image.convert("P"), {}) for kind in ("gif", "png", "pcx", "bmp", "tiff")),
        *((kind, image.convert("L"), {}) for kind in ("jpg", "tiff", "ppm", "sgi")),
        *((kind, image.convert("1"), {}) for kind in ("png", "tiff", "ppm", "xbm", "msp")),
        *((kind, image.convert("RGBA"), {}) for kind in ("png", "tga", "tiff", "webp", "bmp")),
        *((kind, image.convert("CMYK"), {}) for kind in ("jpg", "tiff")),
        *((kind, deep, {}) for kind in ("png", "tiff", "ppm")),
        *(
            ("tiff", image, {"compression": way})
            for way in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg")
        ),
        ("tiff", image.convert("1"), {"compression": "group4"}),
        ("jpg", image, {"progressive": True, "exif": exif}),
        ("png", image, {"exif": exif}),
        ("webp", image, {"lossless": True, "exif": exif}),
        ("png", image.convert("P"), {"transparency": 3}),
        ("gif", image, {"save_all": True, "append_images": [image.rotate(9)]}),
        ("tga", image, {"compression": "tga_rle"}),
    ]
    for number, (suffix, picture, options) in enumerate(kinds):
        file = io.BytesIO()
        file.name = f"a.{suffix}"
        picture.save(file, **options)
        yield f"{number}.{suffix}", file.getvalue()


def make_images(folder: Path) -> list[Path]:
    """Image files of all kinds, and those of our codecs of pixels."""
    made = []
    for name, data in _pictures():
        made.append(folder / name)
        made[-1].write_bytes(data)
    for name, path in _fixtures():
        made.append(folder / f"{name}-{path.name}")
        made[-1].write_bytes(path.read_bytes())
    return made


def use_images(path: Path) -> None:
    image = read_image(path)
    assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3


# -- the link --------------------------------------------------------------------------------------


@cache
def _worker() -> Any:
    from codecframe_serving.worker import Worker

    return Worker(toys.BrightnessHead(), max_pixels=1 << 20)


def make_hellos(folder: Path) -> list[Path]:
    from codecframe_serving.protocol import Hello

    hellos = [
        Hello("jpeg", {"subsampling": "4:4:4", "optimize": True}, shape=(32, 48), top=5),
        Hello("webp", {"sharpness": 3}, head="brightness"),
        Hello("avif", {"advanced": []}, shape=(1, 1)),
    ]
    made = [folder / f"{number}.json" for number in range(len(hellos))]
    for path, hello in zip(made, hellos, strict=True):
        path.write_text(hello.pack(), encoding="utf-8")
    return made


def use_hellos(path: Path) -> None:
    """A hello, and a frame after it."""
    from codecframe_serving.protocol import Frame, Refused
    from codecframe_serving.session import Session

    session = Session(_worker())
    answer = session.hello(path.read_bytes().decode("utf-8", errors="replace"))
    answer.pack()
    if isinstance(answer, Refused):
        raise DataError("hello", answer.reason)
    session.job(Frame(1, 7, b"1234", (16, 16)))


def make_frames(folder: Path) -> list[Path]:
    """Frames, each after a line with the codec of its stream."""
    from codecframe_serving.protocol import Frame

    made = []
    for codec in _codecs():
        if codec.emits[0] != PIXELS:
            continue
        settings = codec.settings_type()
        level = settings.level
        for number, shape in enumerate([None, (24, 31)]):
            image = natural_image(24, 31, seed=number)
            frame = Frame(number, level, codec.strip(codec.encode(image, settings)), shape)
            made.append(folder / f"{codec.name}.{number}.frame")
            made[-1].write_bytes(frame.pack())
    return made


def use_frames(path: Path) -> None:
    """As the server takes them, to the prediction."""
    from codecframe_serving.protocol import Answer, Frame, Hello, Refused
    from codecframe_serving.session import Session

    session = Session(_worker())
    hello = Hello(path.name.partition(".")[0], shape=(24, 31), top=3)
    assert not isinstance(session.hello(hello.pack()), Refused)
    frame = Frame.unpack(path.read_bytes())
    (found,) = _worker().run([session.job(frame)])
    if isinstance(found, Exception):
        raise found
    Answer.unpack(session.answer(frame.sequence, found, 0.1).pack())


def make_pictures(folder: Path) -> list[Path]:
    """Picture layers that come behind the first of two frames."""
    from codecframe_serving.protocol import Picture

    codec = registry.default().codec("vae+webp")
    made = []
    for number, level in enumerate((0, 30, 90)):
        layers = codec.strip_layers(codec.encode(natural_image(24, 31), picture=level))
        made.append(folder / f"{number}.picture")
        made[-1].write_bytes(Picture(0, level, layers.picture).pack())
    made.append(folder / "gone.picture")
    made[-1].write_bytes(Picture(0, 0, None).pack())
    return made


def use_pictures(path: Path) -> None:
    """As the server takes and shows them."""
    from codecframe_serving.decoding import Decoder, Job
    from codecframe_serving.gallery import Gallery, Seen
    from codecframe_serving.protocol import Picture

    codec = registry.default().codec("vae+webp")
    gallery = Gallery()
    for number in range(2):
        settings = codec.settings_type()
        payload = codec.strip(codec.encode(natural_image(24, 31), settings))
        gallery.add(Seen(number, Job(payload, codec, settings, (24, 31))))
    seen = gallery.take(Picture.unpack(path.read_bytes()))
    if seen is not None:
        Decoder(codec.emits[0], lambda image: image, 1 << 20).picture(seen.job)


def make_labels(folder: Path) -> list[Path]:
    """What cameras' own heads say."""
    from codecframe_serving.protocol import Label

    said = '{"boxes":[{"box":[1,2,30,40],"label":"cat","index":0,"score":0.9}]}'
    labels = [Label(7, ((3, 0.5),)), Label(8, ((2, 0.5), (1, 0.25))), Label(9, said=said)]
    made = [folder / f"{number}.label" for number in range(len(labels))]
    for path, label in zip(made, labels, strict=True):
        path.write_bytes(label.pack())
    return made


def use_labels(path: Path) -> None:
    """As the server takes and shows them."""
    from codecframe_serving.answers import words
    from codecframe_serving.protocol import Label, read_object
    from codecframe_serving.session import Session

    label = Label.unpack(path.read_bytes())
    if label.said:
        words("detection", read_object(label.said))
    else:
        Session(_worker()).check_label(label)
    label.pack()


def make_posts(folder: Path) -> list[Path]:
    """What is posted, each after a line with the query."""
    made = []
    for codec in _codecs():
        if codec.emits[0] != PIXELS:
            continue
        settings = codec.settings_type()
        image = noise_image(18, 25, seed=1)
        data = codec.encode(image, settings)
        level = f"&level={settings.level}" if settings.knob() else ""
        query = f"codec={codec.name}&height=18&width=25{level}&top=3"
        made += [folder / f"{codec.name}.{kind}.post" for kind in ("file", "data", "payload")]
        made[-3].write_bytes(b"top=2\n" + data)
        made[-2].write_bytes(f"codec={codec.name}\n".encode() + data)
        made[-1].write_bytes(f"{query}\n".encode() + codec.strip(data))
    return made


class _Served:
    """A server's application, without a network."""

    def __init__(self) -> None:
        from codecframe_serving.app import make_app
        from codecframe_serving.limits import Limits
        from codecframe_serving.service import Batching, Service

        self._loop = asyncio.new_event_loop()
        service = Service(_worker(), Limits(fps=1e6), Batching(delay=0))
        self._loop.run_until_complete(service.__aenter__())
        transport = httpx.ASGITransport(make_app(service))
        self._client = httpx.AsyncClient(transport=transport, base_url="http://localhost")

    def post(self, query: bytes, data: bytes) -> httpx.Response:
        url = httpx.URL("http://localhost/v1/predict", query=query)
        return self._loop.run_until_complete(self._client.post(url, content=data))


@cache
def _served() -> _Served:
    return _Served()


def use_posts(path: Path) -> None:
    query, _, data = path.read_bytes().partition(b"\n")
    answer = _served().post(query, data)
    if answer.status_code in (400, 413):
        raise DataError("post", answer.json()["error"])
    assert answer.status_code == 200, (answer.status_code, answer.text)


def make_welcomes(folder: Path) -> list[Path]:
    """What a server says to a camera: texts."""
    from codecframe_serving.limits import Limits
    from codecframe_serving.session import welcome

    said = welcome(_worker(), Limits())
    geometry = {"resize": [40, 60], "crop": 32}
    texts = [said.pack(), said.__class__(**{**said.__dict__, "preprocess": geometry}).pack()]
    made = [folder / f"{number}.json" for number in range(len(texts))]
    for path, text in zip(made, texts, strict=True):
        path.write_text(text, encoding="utf-8")
    return made


def use_welcomes(path: Path) -> None:
    """As a camera takes it: what it makes images by."""
    from codecframe.core.preprocess import Preprocess
    from codecframe_serving.protocol import Ready, Refused, Welcome, read_text

    text = path.read_bytes().decode("utf-8", errors="replace")
    said = read_text(text, Welcome, Ready, Refused)
    if isinstance(said, Welcome) and said.preprocess is not None:
        preprocess = Preprocess.of(said.preprocess)
        if (shape := preprocess.final_shape) and shape[0] * shape[1] < 1 << 24:
            preprocess.geometry(natural_image(33, 44))


def make_answers(folder: Path) -> list[Path]:
    """What a server says to a camera: answers to frames."""
    from codecframe_serving.protocol import Answer, Status

    answers = [
        Answer(7, Status.OK, 0.2, ((1, 0.5), (2, 0.25))),
        Answer(8, Status.BAD, 0.1, reason="jpeg: is truncated"),
    ]
    made = [folder / f"{number}.answer" for number in range(len(answers))]
    for path, answer in zip(made, answers, strict=True):
        path.write_bytes(answer.pack())
    return made


def use_answers(path: Path) -> None:
    from codecframe_serving.protocol import Answer, printable

    printable(Answer.unpack(path.read_bytes()).reason)


# -- all -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Target:
    """What makes whole files in a folder, what damages one, what is done with it."""

    make: Callable[[Path], list[Path]]
    mutate: Mutate
    use: Use


TARGETS = {
    "codecs": Target(make_codecs, mutation.damage_bytes, use_codecs),
    "payloads": Target(make_payloads, mutation.damage_tail, use_payloads),
    "images": Target(make_images, mutation.damage_bytes, use_images),
    "hellos": Target(make_hellos, mutation.damage_json, use_hellos),
    "frames": Target(make_frames, mutation.damage_bytes, use_frames),
    "pictures": Target(make_pictures, mutation.damage_bytes, use_pictures),
    "labels": Target(make_labels, mutation.damage_bytes, use_labels),
    "posts": Target(make_posts, mutation.damage_post, use_posts),
    "welcomes": Target(make_welcomes, mutation.damage_json, use_welcomes),
    "answers": Target(make_answers, mutation.damage_bytes, use_answers),
    "profiles": Target(make_profile, mutation.damage_profile, use_profile),
    "presets": Target(make_preset, mutation.damage_yaml, use_preset),
    "recipes": Target(make_recipe, mutation.damage_yaml, use_recipe),
    "heads": Target(make_head, mutation.damage_yaml, use_head),
    "models": Target(make_model, mutation.damage_model, use_model),
}
