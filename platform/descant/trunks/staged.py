"""Trunks that run stage by stage, so that several of one kind can run in lockstep.

Shapes: B samples.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from descant.trunks.base import Trunk


class StagedTrunk(Trunk):
    """A trunk whose ``forward`` is ``enter``, then each of ``stages`` on what the one before gave, then ``features``.

    What a stage gives may be changed before the next one takes it; cross-stitch units do.
    """

    channel_axis: int = 1
    """The axis of the channels in what the stages give."""

    def stages(self) -> Mapping[str, tuple[str, ...]]:
        """Return, by stage in order, the dotted names of the modules that it runs one after another.

        A stage has the name of the module that gives its output; dropout may follow.

        Raises:
            UserError: this trunk cannot run stage by stage.
        """
        raise NotImplementedError

    def enter(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return what the first stage takes, batch first."""
        raise NotImplementedError

    def features(self, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the trunk's features from every stage's output, batch first."""
        raise NotImplementedError

    def run_stage(self, stage: str, value: Tensor) -> Tensor:
        """Return a stage's output; of several outputs of a module the first goes on."""
        for name in self.stages()[stage]:
            value = self.get_submodule(name)(value)
            if isinstance(value, tuple):
                value = value[0]
        return value

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return every feature, batch first."""
        value, outputs = self.enter(inputs), {}
        for stage in self.stages():
            value = outputs[stage] = self.run_stage(stage, value)
        return self.features(outputs)
