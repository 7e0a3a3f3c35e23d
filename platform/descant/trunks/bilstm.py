"""The bidirectional LSTM of the genre article.

Shapes: B samples, T frames, M mel bands, F features.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from descant.errors import UserError
from descant.trunks.base import Shapes, only_input, register_trunk
from descant.trunks.staged import StagedTrunk


@register_trunk("bilstm")
class BiLSTM(StagedTrunk):
    """Bidirectional LSTM layers over mel frames, with dropout on the input and after each layer.

    Features: ``sequence`` (T, F), the last layer's frames, and ``pooled`` (F,), their maximum over time; F is twice
    the last layer's width. The sizes are those of the article's code (CVxTz/ReconstructionAuxLoss).

    Args:
        inputs: one input of frames (T, M).
        hidden: the width of each layer in each direction.
        dropout: on the input and after each layer.
    """

    channel_axis = -1

    def __init__(self, inputs: Shapes, hidden: Sequence[int] = (128, 128), dropout: float = 0.3) -> None:
        super().__init__()
        self.input, shape = only_input("bilstm", inputs, dimensions=(2,))
        if not hidden or min(hidden) < 1 or not 0.0 <= dropout < 1.0:
            raise UserError(
                f"the trunk 'bilstm' has hidden={list(hidden)} and dropout={dropout}: "
                f"give at least one width from 1, and a dropout from 0 up to 1"
            )
        widths = [shape[1], *(2 * width for width in hidden)]
        self.layers = nn.ModuleList(
            nn.LSTM(before, width, batch_first=True, bidirectional=True)
            for before, width in zip(widths[:-1], hidden, strict=True)
        )
        self.dropout = nn.Dropout(dropout)

    def stages(self) -> dict[str, tuple[str, ...]]:
        """Return the layers, each with the dropout after it."""
        return {f"layers.{layer}": (f"layers.{layer}", "dropout") for layer in range(len(self.layers))}

    def enter(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return the frames (B, T, M) behind their dropout."""
        frames_BTM: Tensor = self.dropout(inputs[self.input])
        return frames_BTM

    def features(self, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ``sequence`` (B, T, F) and ``pooled`` (B, F)."""
        sequence_BTF = outputs[f"layers.{len(self.layers) - 1}"]
        return {"sequence": sequence_BTF, "pooled": sequence_BTF.amax(1)}
