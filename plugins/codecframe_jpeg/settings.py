"""Settings of the JPEG codec."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import codecframe
from codecframe_jpeg import huffman, tables
from codecframe_jpeg.layout import Layout

SUBSAMPLINGS = {"4:2:0": 0x22, "4:2:2": 0x21, "4:4:4": 0x11, "4:0:0": 0x11}
"""What can be asked for -> horizontal and vertical luma samples for one of chroma, as in files."""

OWN = ("huffman", "arithmetic", "deadzone")
"""What libjpeg's encoder is not asked for: this plugin's own does it."""


@dataclass(frozen=True, kw_only=True)
class JpegSettings(codecframe.ScalableSettings):
    """How to encode a JPEG."""

    quality: int = codecframe.knob(
        75, low=1, high=100, help="scales the quantisation tables; 50 uses them as they are"
    )
    subsampling: str = codecframe.option(
        "4:2:0", choices=tuple(SUBSAMPLINGS), help="chroma resolution; 4:0:0 is greyscale"
    )
    qtables: tuple[tuple[int, ...], ...] | None = codecframe.option(
        None,
        low=1,
        high=255,
        help="own quantisation tables: one, or luma and chroma; 64 steps each, row by row",
    )
    optimize: bool = codecframe.option(
        False,
        searched=False,  # tuning makes tables that both ends know, which this setting excludes
        help="Huffman tables made for each image: smaller files, mostly larger small payloads",
    )
    progressive: bool = codecframe.option(
        False, searched=False, help="coefficients in ten passes; implies optimize"
    )
    huffman: tuple[tuple[int, ...], ...] | None = codecframe.option(
        None,
        low=0,
        high=255,
        help="Huffman tables that both ends know: DC luma, DC chroma, AC luma, AC chroma",
    )
    arithmetic: bool = codecframe.option(
        False,
        searched=False,  # users must know which decoders will read it
        help="arithmetic coding instead of Huffman: smaller from 64x64 pixels on; not for browsers",
    )
    deadzone: float = codecframe.option(
        0.0, low=0.0, high=0.5, help="rounds AC coefficients down by this much of a step"
    )
    smoothing: int = codecframe.option(
        0,
        low=0,
        high=100,
        searched=False,
        help="blurs the image before encoding; not with 4:2:2",
    )
    restart: int = codecframe.option(
        0,
        low=0,
        high=65535,
        searched=False,
        help="blocks (MCUs) between restart markers, which limit what a lost byte damages; 0: none",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.qtables is not None and not (
            len(self.qtables) in (1, 2) and all(len(table) == 64 for table in self.qtables)
        ):
            raise codecframe.SettingsError("qtables", self.qtables, "1 or 2 lists of 64 integers")
        if self.smoothing and self.subsampling == "4:2:2":  # libjpeg would leave chroma out
            raise codecframe.SettingsError("smoothing", self.smoothing, "0 with subsampling 4:2:2")

        self._check_own()

    def _check_own(self) -> None:
        if self.huffman is not None:
            for number, table in enumerate(self.huffman):
                wrong = huffman.problem(table, huffman.KINDS[number % 4])
                if wrong:
                    raise codecframe.SettingsError("huffman", table, wrong)
            if len(self.huffman) != 4:
                raise codecframe.SettingsError("huffman", len(self.huffman), "4 tables")
        if self.huffman is not None and self.arithmetic:
            raise codecframe.SettingsError(
                "arithmetic", True, "false with Huffman tables; `huffman=none` leaves those out"
            )
        if self.own and (self.optimize or self.progressive or self.smoothing or self.restart):
            name = next(name for name in OWN if getattr(self, name))
            others = "none with optimize, progressive, smoothing or restart"
            raise codecframe.SettingsError(name, getattr(self, name), others)

    @cached_property
    def own(self) -> bool:
        """Whether libjpeg cannot do it, and this plugin's own encoder does."""
        return any(getattr(self, name) for name in OWN)

    @property
    def plain(self) -> bool:
        """Whether files are one scan of colour with the standard Huffman tables, all of libjpeg's
        own making."""
        special = self.own or self.optimize or self.progressive or self.smoothing or self.restart
        return not special and self.subsampling != "4:0:0"

    @cached_property
    def code_tables(self) -> tuple[bytes, ...]:
        """The Huffman tables that the own encoder codes with: DC luma and chroma, then AC."""
        return tuple(map(bytes, self.huffman or (tables.HUFFMAN[n] for n in (0, 1, 0x10, 0x11))))

    @cached_property
    def shared_huffman(self) -> tuple[bytes, ...]:
        """Huffman tables that both ends know, if not the standard ones: DC first, luma first."""
        tables = self.huffman or ()
        if self.subsampling == "4:0:0":
            tables = tables[::2]
        return tuple(map(bytes, tables))

    @cached_property
    def fast(self) -> dict[str, Any] | None:
        """What imagecodecs needs to know, or None where it cannot do what is asked for."""
        if self.qtables is not None or self.progressive or self.smoothing or self.restart:
            return None
        import imagecodecs

        options: dict[str, Any] = {"level": self.quality}
        if self.subsampling == "4:0:0":
            options["outcolorspace"] = imagecodecs.JPEG8.CS.GRAYSCALE
        else:
            sampling = SUBSAMPLINGS[self.subsampling]
            options["subsampling"] = sampling >> 4, sampling & 15
        if self.optimize:
            options["optimize"] = True
        return options

    @cached_property
    def scaled_tables(self) -> list[list[int]]:
        """The quantisation tables at this quality, row by row: luma, and chroma if there is any."""
        own = self.qtables or (tables.LUMA, tables.CHROMA)
        used = own[:1] if self.subsampling == "4:0:0" else (own[0], own[-1])
        return [tables.scaled(table, self.quality) for table in used]

    @cached_property
    def layout(self) -> Layout:
        """What these settings determine of a file."""
        return Layout(
            quantisation=tuple(tables.zigzag(table) for table in self.scaled_tables),
            sampling=SUBSAMPLINGS[self.subsampling],
            progressive=self.progressive,
            arithmetic=self.arithmetic,
            own_huffman=self.optimize or self.progressive,
            restart=self.restart,
            shared_huffman=self.shared_huffman,
        )
