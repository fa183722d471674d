"""Settings of the AVIF codec."""

from __future__ import annotations

from dataclasses import dataclass

import codecframe

_WITHOUT = {
    "qm": ("enable-qm", "0"),
    "deltaq": ("deltaq-mode", "0"),
    "deblocking": ("loopfilter-control", "0"),
    "cdef": ("enable-cdef", "0"),
    "edge_filter": ("enable-intra-edge-filter", "0"),
}
"""libaom's options that turn its tools off."""
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
    qm: bool = codecframe.option(
        True, help="aom: quantisation matrices, larger steps for higher frequencies"
    )
    deltaq: bool = codecframe.option(
        True, help="aom: smaller steps in some blocks than in others, by what eyes see"
    )
    deblocking: bool = codecframe.option(True, help="aom: smooths decoded block edges")
    cdef: bool = codecframe.option(True, help="aom: smooths along decoded edges and lines")
    edge_filter: bool = codecframe.option(
        True, help="aom: smooths the samples that blocks are predicted from"
    )
    tile_rows: int = codecframe.option(
        0, low=0, high=6, searched=False, help="log2 of the rows of tiles"
    )
    tile_columns: int = codecframe.option(
        0, low=0, high=6, searched=False, help="log2 of the columns of tiles"
    )
    threads: int = codecframe.option(
        1,
        low=1,
        high=64,
        searched=False,
        help="within one image; more than 1 changes the bytes a little",
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
        if self.encoder != "aom" and (off := self._off):
            raise codecframe.SettingsError(off[0], False, "true, unless the encoder is aom")

    @property
    def _off(self) -> list[str]:
        """Tools of aom that are turned off."""
        return [name for name in _WITHOUT if not getattr(self, name)]

    @property
    def monochrome(self) -> bool:
        """Whether only the luma plane is coded."""
        return self.subsampling == "4:0:0"

    @property
    def encoder_options(self) -> tuple[tuple[str, str], ...]:
        """`tune`, tools that are turned off, and `advanced`, as pairs of key and value."""
        tune = [("tune", self.tune)] if self.tune is not None else []
        pairs = [(key, value) for key, _, value in (e.partition("=") for e in self.advanced)]
        return (*tune, *(_WITHOUT[name] for name in self._off), *pairs)
