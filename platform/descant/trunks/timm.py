"""Any model of timm as a trunk.

Shapes: B samples, C channels, H height, W width, N tokens, F features.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from descant.errors import UserError
from descant.trunks.base import Shapes, Trunk, only_input, register_trunk


@register_trunk("timm")
class Timm(Trunk):
    """A timm model without its classifier, on images (C, H, W) or on mel frames (T, M) as one-channel images.

    Features: ``pooled`` (F,), and ``map`` (C, H, W) for convolutional models or ``sequence`` (N, F) for transformers.

    Args:
        inputs: one input.
        model: timm's name of the model.
        pretrained: whether to start from timm's weights (downloaded by timm).
        options: further arguments of ``timm.create_model``.
    """

    def __init__(self, inputs: Shapes, model: str, pretrained: bool = False, **options: Any) -> None:
        super().__init__()
        import timm

        self.input, shape = only_input("timm", inputs, dimensions=(2, 3))
        self.as_image = len(shape) == 2
        channels = 1 if self.as_image else shape[0]
        try:
            self.model: Any = timm.create_model(model, pretrained, in_chans=channels, num_classes=0, **options)
        except (TypeError, RuntimeError, AssertionError) as error:
            raise UserError(f"timm cannot make the model {model!r} with {options}: {error}") from error

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ``pooled`` and ``map`` or ``sequence``."""
        image = inputs[self.input]
        if self.as_image:
            image = image[:, None]
        features = self.model.forward_features(image)
        pooled = self.model.forward_head(features, pre_logits=True)
        if features.ndim == 4 and getattr(self.model, "output_fmt", "NCHW") == "NHWC":
            features = features.permute(0, 3, 1, 2)
        return {"map" if features.ndim == 4 else "sequence": features, "pooled": pooled.flatten(1)}
