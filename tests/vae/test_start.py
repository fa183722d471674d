"""What a codec in front of a classifier begins as."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from codecframe_vae.bottleneck.start import Fitted, drawn, sensitivity  # noqa: E402

PIXELS = 32 * 32


def features(count: int = 40) -> torch.Tensor:
    """Three independent features around 5, of standard deviations 1, 2 and 3."""
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(count, 3, 16, 16, generator=generator)
    return 5 + noise * torch.tensor([1.0, 2.0, 3.0])[:, None, None]


def test_features_come_back() -> None:
    given = features()
    start = Fitted(given, torch.diag(torch.tensor([4.0, 1.0, 0.1])), 3, PIXELS).start((0.5, 1.0))
    transform = start.transform
    latents = torch.einsum(
        "kc,nchw->nkhw", transform.forward, given - transform.mean[:, None, None]
    )
    spread = latents.transpose(0, 1).flatten(1)
    assert torch.allclose(spread.mean(1), torch.zeros(3), atol=1e-4)
    together = spread @ spread.T / spread.shape[1]
    assert torch.allclose(together, torch.diag(together.diag()), atol=1e-4)
    assert together[0, 0] == pytest.approx(1, abs=1e-4)
    back = torch.einsum("ck,nkhw->nchw", transform.back, latents) + transform.mean[:, None, None]
    assert torch.allclose(back, given, atol=1e-3)


def test_what_the_classifier_minds_comes_first() -> None:
    start = Fitted(features(), torch.diag(torch.tensor([100.0, 0.01, 0.01])), 1, PIXELS).start(
        (0.1,)
    )
    weights = start.transform.forward[0].abs()
    assert weights[0] > 10 * weights[1:].max()


def test_rates_are_about_those_asked_for() -> None:
    given, rates = features(), (0.1, 0.4, 1.0)
    start = Fitted(given, torch.eye(3), 3, PIXELS).start(rates)
    transform = start.transform
    latents = torch.einsum(
        "kc,nchw->nkhw", transform.forward, given - transform.mean[:, None, None]
    )
    assert list(start.log_gains) == sorted(start.log_gains)
    for gain, rate, widths in zip(start.log_gains, rates, start.log_widths, strict=True):
        whole = (latents * gain.exp()).round()
        bits = 0.0
        for channel in whole.transpose(0, 1).flatten(1):
            shares = channel.unique(return_counts=True)[1] / channel.numel()
            bits -= float((shares * shares.log2()).sum()) * channel.numel() / len(given)
        assert bits / PIXELS == pytest.approx(rate, rel=0.02)
        assert torch.allclose(widths.exp() ** 2, whole.transpose(0, 1).flatten(1).var(1) + 0.05)


def test_more_latents_than_features_are_zero() -> None:
    transform = Fitted(features(), torch.eye(3), 5, PIXELS).start((0.5,)).transform
    assert not transform.forward[3:].any()
    assert not transform.back[:, 3:].any()


def test_sensitivity_is_where_the_classifier_looks() -> None:
    class Tail(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor]:
            first = x[:, 0].mean((1, 2))
            return (torch.stack([first, -first], 1),)

    fisher = sensitivity(Tail(), lambda scores, rng: drawn(scores.log_softmax(1), rng), features())
    assert fisher[0, 0] > 0
    assert fisher[1:].abs().max() == 0
    assert fisher[:, 1:].abs().max() == 0


def test_blocks_of_squares_have_a_sensitivity_together() -> None:
    class Tail(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor]:
            step = x[:, 0, ::2, ::2] - x[:, 0, 1::2, ::2]  # within each block
            return (torch.stack([step.mean((1, 2)), -step.mean((1, 2))], 1),)

    fisher = sensitivity(
        Tail(), lambda scores, rng: drawn(scores.log_softmax(1), rng), features()[..., :8, :8], 2
    )
    assert fisher.shape == (12, 12)
    expected = torch.zeros(12, 12)
    expected[0, 0] = expected[2, 2] = fisher[0, 0]
    expected[0, 2] = expected[2, 0] = -fisher[0, 0]
    assert fisher[0, 0] > 0 and torch.allclose(fisher, expected)
