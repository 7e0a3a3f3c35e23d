"""The genre recipe as a plain PyTorch loop written by hand, without anything of Descant: the reference for both the
loss curve (equal to 1e-6, tests/integration/test_handwritten.py) and the cost of a step (benchmarks/step_overhead.py).

Shapes: B clips, T frames, M mel bands, F features.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class GenreNet(nn.Module):
    """Two-layer BiLSTM over mel frames, genre from the maximum over time, the clean frames from each frame."""

    def __init__(self, bands: int = 128, width: int = 128, genres: int = 8, dropout: float = 0.3) -> None:
        super().__init__()
        self.lstm1 = nn.LSTM(bands, width, batch_first=True, bidirectional=True)
        self.lstm2 = nn.LSTM(2 * width, width, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(dropout)
        self.fc1 = nn.Linear(2 * width, 128)
        self.fc2 = nn.Linear(128, genres)
        self.reconstruction = nn.Linear(2 * width, bands)

    def forward(self, mel_BTM: Tensor, reconstruct: bool) -> tuple[Tensor, Tensor | None]:
        """Return genre logits and, if asked, the reconstruction."""
        x = self.dropout(mel_BTM)
        x = self.dropout(self.lstm1(x)[0])
        x = self.dropout(self.lstm2(x)[0])
        genre = self.fc2(self.dropout(torch.relu(self.fc1(x.amax(1)))))
        if not reconstruct:
            return genre, None
        return genre, self.reconstruction(self.dropout(x)).clamp(-1.0, 1.0)


NAMES = {
    "sharing.trunk.layers.0": "lstm1",
    "sharing.trunk.layers.1": "lstm2",
    "heads.genre.0": "fc1",
    "heads.genre.3": "fc2",
    "heads.reconstruction.layers.linear": "reconstruction",
}


def copy_weights(net: GenreNet, state: Mapping[str, Tensor]) -> None:
    """Start from the weights of a Descant model of the same recipe."""
    renamed = {}
    for name, value in state.items():
        module, _, parameter = name.rpartition(".")
        renamed[f"{NAMES[module]}.{parameter}"] = value.clone()
    net.load_state_dict(renamed, strict=False)


def step(
    net: GenreNet, optimizer: torch.optim.Optimizer, mel_BTM: Tensor, genre_B: Tensor, weight: float
) -> tuple[Tensor, Tensor]:
    """Take one step and return the two losses; ``weight`` is λ (0 leaves the reconstruction out)."""
    mel_BTM = mel_BTM.float()
    logits, reconstruction = net(mel_BTM, weight > 0)
    main = nn.functional.cross_entropy(logits, genre_B)
    auxiliary = torch.zeros(())
    loss = main
    if reconstruction is not None:
        auxiliary = (reconstruction - mel_BTM).abs().mean()
        loss = main + weight * auxiliary
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return main.detach(), auxiliary.detach()
