"""Settings of the HEIC codec."""

from __future__ import annotations

from dataclasses import dataclass

import codecframe

_EFFORTS = (
    *("ultrafast", "superfast", "veryfast", "faster", "fast"),
    *("medium", "slow", "slower", "veryslow", "placebo"),
)
_WITHOUT = {"aq": ("aq-mode", "0"), "deblocking": ("no-deblock", "1"), "sao": ("sao", "0")}
"""x265's options that turn its tools off."""


@dataclass(frozen=True, kw_only=True)
class HeicSettings(codecframe.ScalableSettings):
    """How to encode a HEIC."""

    quality: int = codecframe.knob(
        50, low=0, high=100, ladder=range(95), help="higher is better and bigger; above 94 alike"
    )
    subsampling: str = codecframe.option(
        "4:2:0", choices=("4:4:4", "4:2:2", "4:2:0"), help="chroma resolution"
    )
    effort: str = codecframe.option("slow", choices=_EFFORTS, help="what x265 calls its preset")
    tune: str = codecframe.option(
        "ssim", choices=("ssim", "psnr", "grain", "fastdecode"), help="what x265 optimises"
    )
    intra_depth: int = codecframe.option(
        2, low=1, high=4, help="how often x265 may split a transform block"
    )
    aq: bool = codecframe.option(
        True, help="smaller steps in some blocks than in others, by what eyes see"
    )
    deblocking: bool = codecframe.option(True, help="smooths decoded block edges")
    sao: bool = codecframe.option(True, help="smooths decoded edges and lines")
    advanced: tuple[str, ...] = codecframe.option(
        (), help='libheif\'s encoder parameters as "key=value" texts, e.g. "x265:aq-mode=1"'
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for entry in self.advanced:
            if not all(entry.partition("=")):
                raise codecframe.SettingsError("advanced", entry, 'texts of the form "key=value"')

    @property
    def encoder_options(self) -> dict[str, str]:
        """`effort`, `tune`, tools that are turned off, and `advanced`, in libheif's words."""
        off = [option for name, option in _WITHOUT.items() if not getattr(self, name)]
        own = (entry.partition("=") for entry in self.advanced)
        return {
            "preset": self.effort,
            "tune": self.tune,
            **{f"x265:{key}": value for key, value in off},
            **{key: value for key, _, value in own},
        }
