"""Settings of the WebP codec."""

from __future__ import annotations

from dataclasses import dataclass

import codecframe


@dataclass(frozen=True, kw_only=True)
class WebpSettings(codecframe.Settings):
    """What libwebp's encoder can be told; the defaults are its own."""

    quality: float = codecframe.knob(
        75.0,
        low=0,
        high=100,
        ladder=[step / 2 for step in range(201)],
        help="fidelity; where lossless, effort",
    )
    method: int = codecframe.option(4, low=0, high=6, help="effort: slower is smaller")
    lossless: bool = codecframe.option(False, help="every pixel as it is")
    sharp_yuv: bool = codecframe.option(False, help="slower, sharper chroma subsampling")
    filter_strength: int = codecframe.option(60, low=0, high=100, help="deblocking; 0 is off")
    filter_sharpness: int = codecframe.option(0, low=0, high=7, help="deblocking; 7 is least sharp")
    filter_type: str = codecframe.option(
        "strong", choices=("simple", "strong"), help="deblocking filter"
    )
    autofilter: bool = codecframe.option(False, help="find the filter strength for each image")
    segments: int = codecframe.option(4, low=1, high=4, help="parts with quantisers of their own")
    sns_strength: int = codecframe.option(
        50, low=0, high=100, help="spatial noise shaping: bits to where artefacts show to eyes"
    )
    passes: int = codecframe.option(1, low=1, high=10, help="passes of entropy analysis")

    def __post_init__(self) -> None:
        """Check what no library can set together."""
        super().__post_init__()
        if self.sharp_yuv and self.advanced:
            raise codecframe.SettingsError(
                "sharp_yuv", True, f"false together with {', '.join(self.advanced)}"
            )
        if self.lossless and (self.sharp_yuv or self.advanced):
            raise codecframe.SettingsError("lossless", True, "false with lossy settings")

    @property
    def advanced(self) -> list[str]:
        """Names of the changed settings that only the `webp` package can set."""
        names = (
            "filter_strength", "filter_sharpness", "filter_type", "autofilter", "segments",
            "sns_strength", "passes",
        )  # fmt: skip
        defaults = {info.name: info.default for info in self.fields()}
        return [name for name in names if getattr(self, name) != defaults[name]]
