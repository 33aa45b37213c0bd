"""What a part without margins loses in tiles that overlap and are blended."""

from __future__ import annotations

from dataclasses import dataclass

from aeonnx._util.serde import require

__all__ = ["Blending"]

_METRICS = ("psnr", "snr", "agreement")


@dataclass(frozen=True)
class Blending:
    """The first output of a part in blended tiles against the output of the whole.

    It was measured at export, on an input of two tiles along each dynamic axis.

    Args:
        tile: length of a tile along each dynamic axis, in places of the axis.
        overlap: places that a tile shares with the next, at most half of `tile`.
        metric: "psnr", the squared width of the output's range over the mean squared difference,
            or "snr", the variance of the output over it, both in dB and at most 200; "agreement",
            the share of whole numbers that are equal.
        value: the metric.
    """

    tile: int
    overlap: int
    metric: str
    value: float

    def __post_init__(self) -> None:
        require(self.tile > 0, f"tile: expected 1 or more, got {self.tile}")
        require(
            0 <= self.overlap <= self.tile // 2,
            f"overlap: expected 0 to {self.tile // 2}, half of the tile, got {self.overlap}",
        )
        require(
            self.metric in _METRICS,
            f"metric: expected one of {', '.join(_METRICS)}, got {self.metric!r}",
        )

    @property
    def loss(self) -> str:
        """The metric as a text, such as "31.2 dB PSNR"."""
        if self.metric == "agreement":
            return f"{self.value:.2%} of the values agree"
        return f"{self.value:.1f} dB {self.metric.upper()}"
