"""Settings of the AVIF codec."""

from __future__ import annotations

from dataclasses import dataclass

import codecframe

LOSSLESS = 100
"""The quality at which the AV1 coder is lossless (colour conversion still rounds)."""


@dataclass(frozen=True, kw_only=True)
class AvifSettings(codecframe.ScalableSettings):
    """How to encode an AVIF."""

    quality: int = codecframe.knob(
        60, low=0, high=LOSSLESS, help="higher is better and bigger; some neighbours are alike"
    )
    speed: int = codecframe.option(
        6, low=0, high=10, help="encoder effort: 0 is slowest and smallest, 10 fastest"
    )
    subsampling: str = codecframe.option(
        "4:2:0",
        choices=("4:4:4", "4:2:2", "4:2:0", "4:0:0"),
        help="chroma resolution; 4:0:0 is greyscale",
    )
    encoder: str = codecframe.option(
        "aom", choices=("aom", "svt", "rav1e"), help="AV1 encoder; svt is 4:2:0 only"
    )
    tune: str | None = codecframe.option(
        None, help="what the encoder optimises: for aom iq (its default), psnr, ssim, ..."
    )
    value_range: str = codecframe.option(
        "full", choices=("full", "limited"), help="range of the coded sample values"
    )
    tile_rows: int = codecframe.option(0, low=0, high=6, help="log2 of the rows of tiles")
    tile_columns: int = codecframe.option(0, low=0, high=6, help="log2 of the columns of tiles")
    threads: int = codecframe.option(
        1, low=1, high=64, help="within one image; more than 1 changes the bytes a little"
    )
    advanced: tuple[str, ...] = codecframe.option(
        (), help='the encoder\'s own options as "key=value" texts, as in avifenc -a'
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for entry in self.advanced:
            if not all(entry.partition("=")):
                raise codecframe.SettingsError("advanced", entry, 'texts of the form "key=value"')
        if self.encoder == "svt" and self.subsampling != "4:2:0":
            raise codecframe.SettingsError(
                "subsampling", self.subsampling, "4:2:0, the only one that encoder svt has"
            )

    @property
    def monochrome(self) -> bool:
        """Whether only the luma plane is coded."""
        return self.subsampling == "4:0:0"

    @property
    def encoder_options(self) -> tuple[tuple[str, str], ...]:
        """`tune` and `advanced` as pairs of key and value."""
        pairs = [(key, value) for key, _, value in (e.partition("=") for e in self.advanced)]
        return tuple(([("tune", self.tune)] if self.tune is not None else []) + pairs)
