"""Per-sample losses: each takes a head's output and the target, and returns (B,).

Shapes: B samples, C classes, A attributes, P points; … any further dimensions, averaged per sample.
"""

from __future__ import annotations

from jaxtyping import Bool, Float, Int

from descant.lazy import torch


def cross_entropy(output_BC: Float[torch.Tensor, "B C"], target_B: Int[torch.Tensor, B]) -> Float[torch.Tensor, B]:
    """Return the cross-entropy with class indices."""
    return torch.nn.functional.cross_entropy(output_BC.float(), target_B, reduction="none")


def binary_cross_entropy(
    output_BA: Float[torch.Tensor, "B A"], target_BA: Float[torch.Tensor, "B A"]
) -> Float[torch.Tensor, B]:
    """Return the binary cross-entropy with logits over the attributes that are known (NaN: unknown), averaged."""
    return mean_of_known(attribute_cross_entropy(output_BA, target_BA), target_BA)


def attribute_cross_entropy(
    output_BA: Float[torch.Tensor, "B A"], target_BA: Float[torch.Tensor, "B A"]
) -> Float[torch.Tensor, "B A"]:
    """Return the binary cross-entropy with logits of each attribute, 0 where it is unknown (NaN)."""
    loss_BA = torch.nn.functional.binary_cross_entropy_with_logits(
        output_BA.float(), target_BA.nan_to_num(), reduction="none"
    )
    return loss_BA * ~target_BA.isnan()


def l1(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return the mean absolute error of each sample, (B,)."""
    return (output.float() - target.float()).abs().flatten(1).mean(1)


def l2(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return the mean squared error of each sample, (B,)."""
    return (output.float() - target.float()).square().flatten(1).mean(1)


def smooth_l1(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return the mean Huber loss (threshold 1) of each sample, (B,)."""
    loss = torch.nn.functional.smooth_l1_loss(output.float(), target.float(), reduction="none")
    return loss.flatten(1).mean(1)


def half_squared_error(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return ½ Σ (output - target)² of each sample, (B,): the landmark loss of Zhang et al. (ECCV 2014)."""
    return 0.5 * (output.float() - target.float()).square().flatten(1).sum(1)


def masked_l1(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return the mean absolute error of each sample where its target is known (NaN: unknown), (B,); 0 without."""
    return mean_of_known((output.float() - target.float().nan_to_num()).abs(), target)


def masked_l2(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return the mean squared error of each sample where its target is known (NaN: unknown), (B,); 0 without."""
    return mean_of_known((output.float() - target.float().nan_to_num()).square(), target)


def mean_of_known(losses: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return the mean of each sample's losses where its target is known (NaN: unknown), (B,); 0 without."""
    known_BN: Bool[torch.Tensor, "B N"] = ~target.flatten(1).isnan()
    return (losses.flatten(1) * known_BN).sum(1) / known_BN.sum(1).clamp(min=1)
