"""Ray Train's TorchTrainer without the helper processes that a run on a cluster of its own has no use for.

Each is a Python process that imports Ray Train, and the workers wait for one after the other: without them two
workers on two cores started in about half the time, in single runs on a busy machine that are to be repeated
(benchmarks/LOG.md).
"""

from __future__ import annotations

from typing import Any

from ray.train.v2._internal.callbacks import DatasetsCallback
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
from ray.train.v2._internal.execution.scaling_policy import FixedScalingPolicy
from ray.train.v2.api.config import ScalingConfig
from ray.train.v2.torch.torch_trainer import TorchTrainer


class ShardTrainer(TorchTrainer):
    """A TorchTrainer whose workers read shards themselves: no Ray Data."""

    def _create_default_callbacks(self) -> list[Any]:
        callbacks = super()._create_default_callbacks()
        return [callback for callback in callbacks if not isinstance(callback, DatasetsCallback)]


class LocalTrainer(ShardTrainer):
    """A ShardTrainer on a cluster that this process has started and ends: nothing to reserve or to clean up there."""

    def _create_default_callbacks(self) -> list[Any]:
        callbacks = super()._create_default_callbacks()
        return [callback for callback in callbacks if not isinstance(callback, PlacementGroupCleanerCallback)]

    def _initialize_and_run_controller(self, **arguments: Any) -> Any:
        if isinstance(arguments["scaling_policy"], FixedScalingPolicy):
            assert isinstance(self.scaling_config, ScalingConfig)
            arguments["scaling_policy"] = _UnreservedScalingPolicy(self.scaling_config)
        return super()._initialize_and_run_controller(**arguments)


class _UnreservedScalingPolicy(FixedScalingPolicy):
    """A fixed number of workers, without a request to an autoscaler that is not there."""

    def after_controller_start(self, train_run_context: Any) -> None:
        pass

    def _maybe_send_resource_request(self) -> None:
        pass

    async def before_controller_shutdown(self) -> None:
        pass

    def before_controller_abort(self) -> None:
        pass
