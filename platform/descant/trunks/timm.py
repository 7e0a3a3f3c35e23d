"""Any model of timm as a trunk.

Shapes: B samples, C channels, H height, W width, N tokens, F features.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from descant.errors import UserError
from descant.trunks.base import Shapes, only_input, register_trunk
from descant.trunks.chain import find_stages
from descant.trunks.staged import StagedTrunk


@register_trunk("timm")
class Timm(StagedTrunk):
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

        self.name = model
        self.input, shape = only_input("timm", inputs, dimensions=(2, 3))
        self.as_image = len(shape) == 2
        channels = 1 if self.as_image else shape[0]
        try:
            self.model: Any = timm.create_model(model, pretrained, in_chans=channels, num_classes=0, **options)
        except (TypeError, RuntimeError, AssertionError) as error:
            raise UserError(f"timm cannot make the model {model!r} with {options}: {error}") from error

        self.image_shape = (channels, *shape[-2:])
        self.nhwc = getattr(self.model, "output_fmt", "NCHW") == "NHWC"
        self._stages: dict[str, tuple[str, ...]] | None = None

    @property
    def channel_axis(self) -> int:  # type: ignore[override]
        """The axis of the channels in what the stages give."""
        return -1 if self.nhwc else 1

    def stages(self) -> dict[str, tuple[str, ...]]:
        """Return the runs of top-level modules that work at one resolution, as found on a random image.

        Raises:
            UserError: the model is no chain of its top-level modules.
        """
        if self._stages is None:
            image = torch.randn(1, *self.image_shape, generator=torch.Generator().manual_seed(0))
            found = find_stages(self.model, lambda model: model.forward_features(image), image, self.channel_axis)
            named = [tuple(f"model.{name}" for name in names) for names in found]
            self._stages = {names[-1]: names for names in named}
        if not self._stages:
            raise UserError(
                f"the timm model {self.name!r} is no chain of its top-level modules, so it cannot run stage by stage: "
                f"take one that is, such as a ResNet, ConvNeXt or VGG"
            )
        return self._stages

    def enter(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return the image (B, C, H, W)."""
        image = inputs[self.input]
        return image[:, None] if self.as_image else image

    def features(self, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ``pooled`` and ``map`` or ``sequence``."""
        return self._named(outputs[list(self.stages())[-1]])

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ``pooled`` and ``map`` or ``sequence``, also of a model that is no chain."""
        return self._named(self.model.forward_features(self.enter(inputs)))

    def _named(self, features: Tensor) -> dict[str, Tensor]:
        pooled = self.model.forward_head(features, pre_logits=True)
        if features.ndim == 4 and self.nhwc:
            features = features.permute(0, 3, 1, 2)
        return {"map" if features.ndim == 4 else "sequence": features, "pooled": pooled.flatten(1)}
