"""Settings of the JPEG codec."""

from __future__ import annotations

from dataclasses import dataclass

import codecframe

SUBSAMPLINGS = ("4:4:4", "4:2:2", "4:2:0", "4:0:0")


@dataclass(frozen=True, kw_only=True)
class JpegSettings(codecframe.Settings):
    """Everything that changes the rate or fidelity of a JPEG."""

    quality: int = codecframe.knob(
        75, low=1, high=100, help="scales the quantisation tables; 50 takes them as they are"
    )
    subsampling: str = codecframe.option(
        "4:2:0", choices=SUBSAMPLINGS, help="chroma resolution; 4:0:0 is greyscale"
    )
    qtables: tuple[tuple[int, ...], ...] | None = codecframe.option(
        None,
        low=1,
        high=255,
        help="own quantisation tables, luma and chroma (one serves both): 64 values each, row by "
        "row; none takes those of the standard",
    )
    optimize: bool = codecframe.option(
        False, help="Huffman tables made for each image instead of the standard ones"
    )
    progressive: bool = codecframe.option(False, help="several scans, coarse to fine")
    smoothing: int = codecframe.option(0, low=0, high=100, help="blur before coding")

    def __post_init__(self) -> None:
        """Check the tables, and what libjpeg cannot do together."""
        super().__post_init__()
        if self.smoothing and self.subsampling == "4:2:2":
            raise codecframe.SettingsError(
                "smoothing", self.smoothing, "0 where the subsampling is 4:2:2"
            )
        tables = self.qtables
        if tables is not None and not (
            len(tables) in (1, 2) and all(len(table) == 64 for table in tables)
        ):
            raise codecframe.SettingsError(
                "qtables", self.to_dict()["qtables"], "one or two lists of 64 integers, or none"
            )

    def scaled_tables(self) -> list[list[int]] | None:
        """The own tables at this quality, by the formula of the IJG's libjpeg; None without any."""
        if self.qtables is None:
            return None
        scale = 5000 // self.quality if self.quality < 50 else 200 - 2 * self.quality
        return [
            [min(max((value * scale + 50) // 100, 1), 255) for value in table]
            for table in self.qtables
        ]
