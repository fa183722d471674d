"""Settings in the format of other software, for cameras that have only an encoder."""

from __future__ import annotations

from collections.abc import Sequence

from codecframe_jpeg.settings import OWN, SUBSAMPLINGS, JpegSettings

_TABLES = ("luma", "chroma")
_HUFFMAN = ("dc_luma", "dc_chroma", "ac_luma", "ac_chroma")


def cjpeg(settings: JpegSettings, notes: Sequence[str] = ()) -> str:
    """A file for `cjpeg -qtables`, which gets the rest as options."""
    sampling = SUBSAMPLINGS[settings.subsampling]
    options = ["-quality 50 -qtables FILE", f"-sample {sampling >> 4}x{sampling & 15}"]
    grey = settings.subsampling == "4:0:0"
    switches = {
        "-grayscale": grey,
        "-optimize": settings.optimize,
        "-progressive": settings.progressive,
        "-arithmetic": settings.arithmetic,
        f"-smooth {settings.smoothing}": settings.smoothing > 0,
        f"-restart {settings.restart}B": settings.restart > 0,
    }
    options += [switch for switch, wanted in switches.items() if wanted]
    said = [*notes, *_size(settings), *_cannot(settings, ("huffman", "deadzone"))]
    lines = [f"# cjpeg {' '.join(options)}", *(f"# {words}" for words in said)]
    for name, table in zip(_TABLES, settings.scaled_tables, strict=False):
        lines += [f"# {name}", *_rows(table, 8)]
    return "\n".join(lines) + "\n"


def pillow(settings: JpegSettings, notes: Sequence[str] = ()) -> str:
    """Python that saves an image with Pillow."""
    grey, scale = settings.subsampling == "4:0:0", settings.scale
    said = [*notes, *_size(settings), *_cannot(settings, OWN)]
    lines = [*(f"# {words}" for words in said), "options = {", '    "qtables": [']
    for table in settings.scaled_tables:
        lines += [
            "        [",
            *(f"            {row}," for row in _rows(table, 8, ", ")),
            "        ],",
        ]
    lines += [
        "    ],",
        f'    "subsampling": {-1 if grey else repr(settings.subsampling)},',
        f'    "optimize": {settings.optimize},',
        f'    "progressive": {settings.progressive},',
        f'    "smooth": {settings.smoothing},',
        f'    "restart_marker_blocks": {settings.restart},',
        "}",
    ]
    if scale != 1:
        lines += [
            "",
            "import PIL.Image",
            "",
            f"size = round(image.width * {scale}), round(image.height * {scale})",
            "image = image.resize(size, PIL.Image.Resampling.LANCZOS)",
        ]
    image = 'image.convert("L")' if grey else "image"
    return "\n".join([*lines, f'{image}.save("image.jpg", **options)']) + "\n"


def c(settings: JpegSettings, notes: Sequence[str] = ()) -> str:
    """C arrays, in the order of libjpeg's `jpeg_add_quant_table` and `JHUFF_TBL`."""
    lines = [f"/* {words} */" for words in [*notes, *_size(settings), *_calls(settings)]]
    lines += ["/* quantisation steps, row by row, for jpeg_add_quant_table(..., 100, TRUE) */"]
    for name, table in zip(_TABLES, settings.scaled_tables, strict=False):
        lines += _array("unsigned int", f"quant_{name}", table, 8)
    if settings.huffman is not None:
        lines += ["", "/* Huffman tables: JHUFF_TBL.bits[1..16] and .huffval */"]
        for name, codes in zip(_HUFFMAN, settings.huffman, strict=True):
            lines += _array("unsigned char", f"bits_{name}", codes[:16], 16)
            lines += _array("unsigned char", f"huffval_{name}", codes[16:], 16)
    if settings.deadzone:
        lines += ["", "/* AC coefficients are rounded down by this much of a step */"]
        lines += [f"static const float deadzone = {settings.deadzone}f;"]
    return "\n".join(lines) + "\n"


def _calls(settings: JpegSettings) -> list[str]:
    """What an application of libjpeg does besides setting tables."""
    sampling = SUBSAMPLINGS[settings.subsampling]
    calls = {
        "jpeg_set_colorspace(&cinfo, JCS_GRAYSCALE)": settings.subsampling == "4:0:0",
        f"cinfo.comp_info[0].h_samp_factor = {sampling >> 4}, .v_samp_factor = {sampling & 15}": (
            settings.subsampling != "4:0:0"
        ),
        "cinfo.optimize_coding = TRUE": settings.optimize,
        "jpeg_simple_progression(&cinfo)": settings.progressive,
        "cinfo.arith_code = TRUE": settings.arithmetic,
        f"cinfo.smoothing_factor = {settings.smoothing}": settings.smoothing > 0,
        f"cinfo.restart_interval = {settings.restart}": settings.restart > 0,
    }
    return [call for call, wanted in calls.items() if wanted]


def _size(settings: JpegSettings) -> list[str]:
    """That images are made smaller, if they are."""
    if settings.scale == 1:
        return []
    size = f"{settings.scale} of each side"
    return [f"for images at {size} (Lanczos), enlarged again once decoded (bicubic)"]


def _cannot(settings: JpegSettings, names: Sequence[str]) -> list[str]:
    """That these settings are lost, if they are used."""
    found = [name for name in names if getattr(settings, name)]
    return [f"without {' and '.join(found)}, which it cannot do"] if found else []


def _array(kind: str, name: str, values: Sequence[int], width: int) -> list[str]:
    rows = [f"    {row}," for row in _rows(values, width, ", ")]
    return [f"static const {kind} {name}[{len(values)}] = {{", *rows, "};"]


def _rows(values: Sequence[int], width: int, between: str = " ") -> list[str]:
    return [
        between.join(f"{value:3}" for value in values[at : at + width])
        for at in range(0, len(values), width)
    ]


FORMATS = {"c": c, "cjpeg": cjpeg, "pillow": pillow}
