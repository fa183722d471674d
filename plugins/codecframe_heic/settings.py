"""Settings of the HEIC codec."""

from __future__ import annotations

from dataclasses import dataclass

import codecframe

_PRESETS = (
    *("ultrafast", "superfast", "veryfast", "faster", "fast"),
    *("medium", "slow", "slower", "veryslow", "placebo"),
)


@dataclass(frozen=True, kw_only=True)
class HeicSettings(codecframe.ScalableSettings):
    """How to encode a HEIC."""

    quality: int = codecframe.knob(
        50, low=0, high=100, ladder=range(95), help="higher is better and bigger; above 94 alike"
    )
    subsampling: str = codecframe.option(
        "4:2:0", choices=("4:4:4", "4:2:2", "4:2:0"), help="chroma resolution"
    )
    preset: str = codecframe.option("slow", choices=_PRESETS, help="x265's effort")
    tune: str = codecframe.option(
        "ssim", choices=("ssim", "psnr", "grain", "fastdecode"), help="what x265 optimises"
    )
    intra_depth: int = codecframe.option(
        2, low=1, high=4, help="how often x265 may split a transform block"
    )
    advanced: tuple[str, ...] = codecframe.option(
        (), help='libheif\'s encoder parameters as "key=value" texts, e.g. "x265:aq-mode=1"'
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for entry in self.advanced:
            if not all(entry.partition("=")):
                raise codecframe.SettingsError("advanced", entry, 'texts of the form "key=value"')
