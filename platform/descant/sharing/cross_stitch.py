"""Cross-stitch networks (Misra et al. 2016): a trunk for each task, which exchange what their stages give.

Shapes: B samples, T tasks, C channels.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor, nn

from descant.errors import UserError, nearest
from descant.sharing.base import MakeTrunk, Shapes, Sharing, sharings
from descant.sharing.own_trunks import own_trunks
from descant.trunks.staged import StagedTrunk


@sharings.register("cross_stitch")
class CrossStitch(Sharing):
    """Trunks that run in lockstep; after a stage each goes on with x̃_i = Σ_j α_ij x_j, where α is learnt.

    A task reads a feature of its trunk, or by a stage's name what the trunk goes on with after it. The trunks of tasks
    that are not asked for run along up to the last unit, because the others read them.

    Args:
        own: α_ii at the start; what is left to 1 is spread evenly over the other tasks.
        per_channel: whether each channel has an α of its own.
        after: the stages with a unit behind them; by default all.
    """

    def __init__(
        self,
        make_trunk: MakeTrunk,
        features: Mapping[str, str],
        inputs: Shapes,
        own: float = 0.9,
        per_channel: bool = False,
        after: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        if not 0.0 <= own <= 1.0:
            raise UserError(f"sharing.own is {own}: give the part of a task's own trunk, from 0 to 1")
        self.features = dict(features)
        self.trunks = own_trunks("cross_stitch", make_trunk, features)
        trunk = self.trunks[next(iter(features))]
        if not isinstance(trunk, StagedTrunk):
            raise UserError(
                f"the sharing 'cross_stitch' cannot run the trunk {type(trunk).__name__} stage by stage: take bilstm, "
                f"mlp, tcdcn, lenet, a timm model that is a chain, or make the trunk a StagedTrunk"
            )
        self.stages, self.channel_axis = list(trunk.stages()), trunk.channel_axis
        self.units = _units(after, self.stages)
        self.shapes, channels = self._measure(trunk, inputs)
        start = _start(len(features), own)
        self.alphas = nn.ParameterList(
            nn.Parameter(start[..., None].repeat(1, 1, channels[stage]) if per_channel else start.clone())
            for stage in self.units
        )

    def forward(self, inputs: Mapping[str, Tensor], tasks: Collection[str]) -> dict[str, Tensor]:
        """Return the feature of each of ``tasks``."""
        trunks = self._trunks()
        values = {task: trunk.enter(inputs) for task, trunk in trunks.items()}
        outputs: dict[str, dict[str, Tensor]] = {task: {} for task in trunks}
        for stage in self.stages:
            values = {task: trunks[task].run_stage(stage, value) for task, value in values.items()}
            if stage in self.units:
                going_on = tasks if stage == self.units[-1] else trunks
                values = {task: self._stitched(stage, task, values) for task in going_on}
            for task, value in values.items():
                outputs[task][stage] = value
        return {task: self._features(trunks[task], outputs[task])[self.features[task]] for task in tasks}

    def _stitched(self, stage: str, task: str, values: Mapping[str, Tensor]) -> Tensor:
        alpha = self.alphas[self.units.index(stage)][list(self.features).index(task)]
        if alpha.ndim == 2 and self.channel_axis == 1:
            alpha = alpha.reshape(*alpha.shape, *[1] * (values[task].ndim - 2))
        terms = [share * value for share, value in zip(alpha, values.values(), strict=True)]
        stitched: Tensor = sum(terms[1:], terms[0])
        return stitched

    def _features(self, trunk: StagedTrunk, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {**outputs, **trunk.features(outputs)}

    def _trunks(self) -> dict[str, StagedTrunk]:
        return {task: trunk for task, trunk in self.trunks.items() if isinstance(trunk, StagedTrunk)}

    @torch.no_grad()
    def _measure(self, trunk: StagedTrunk, inputs: Shapes) -> tuple[dict[str, tuple[int, ...]], dict[str, int]]:
        """Return the shape of each task's feature, and how many channels each stage gives."""
        trunk.feature_shapes(inputs)  # says what inputs it cannot take
        was_training = trunk.training
        value = trunk.eval().enter({name: torch.zeros(1, *shape) for name, shape in inputs.items()})
        outputs: dict[str, Tensor] = {}
        for stage in self.stages:
            value = outputs[stage] = trunk.run_stage(stage, value)
        known = {name: tuple(feature.shape[1:]) for name, feature in self._features(trunk, outputs).items()}
        trunk.train(was_training)
        for task, feature in self.features.items():
            if feature not in known:
                raise UserError(
                    f"the task {task!r} reads the feature {feature!r}, which the sharing 'cross_stitch' cannot give: "
                    f"take a feature of the trunk or a stage of it ({', '.join(known)})"
                )
        return {task: known[feature] for task, feature in self.features.items()}, {
            stage: output.shape[trunk.channel_axis] for stage, output in outputs.items()
        }


def _units(after: Sequence[str] | None, stages: Sequence[str]) -> list[str]:
    """Return the stages that have a unit behind them, in the trunk's order."""
    if after is not None and not after:
        raise UserError("sharing.after is empty: name at least one stage, or leave it out for all")
    for stage in after or ():
        if stage not in stages:
            raise UserError(f"the trunk has no stage {stage!r} for a cross-stitch unit: {nearest(stage, stages)}")
    return [stage for stage in stages if after is None or stage in after]


def _start(tasks: int, own: float) -> Tensor:
    others = torch.full((tasks, tasks), (1.0 - own) / max(tasks - 1, 1))
    return others.fill_diagonal_(own if tasks > 1 else 1.0)
