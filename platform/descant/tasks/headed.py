"""Tasks whose head a recipe chooses."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, ClassVar

from descant.errors import UserError
from descant.lazy import torch
from descant.tasks.base import Task


class HeadedTask(Task):
    """A task that takes any registered head that makes outputs of ``output_shape`` from its feature.

    Args:
        head: the name of a head, or a mapping with ``name`` and the head's options; ``default_head`` if None, or
            ``mlp`` where ``hidden`` is given.
        hidden, dropout: the head's options of these names.
        feature: the trunk's feature that the head reads; if None the class's own, or what the chosen head reads.
        metrics: names of ``metric_makers``; if None those of ``usual_metrics``, or all.
        given: the other arguments of ``Task``.
    """

    default_head: ClassVar[str] = "linear"
    usual_metrics: ClassVar[Sequence[str] | None] = None

    def __init__(
        self,
        *args: Any,
        head: str | Mapping[str, Any] | None = None,
        hidden: Sequence[int] | None = None,
        dropout: float | None = None,
        feature: str | None = None,
        metrics: Sequence[str] | None = None,
        **given: Any,
    ) -> None:
        super().__init__(*args, metrics=self.usual_metrics if metrics is None else metrics, **given)
        self.feature = feature or self.feature
        self._head_name, options = self._read_head(head, "mlp" if hidden is not None else self.default_head)
        asked = {"hidden": hidden, "dropout": dropout}
        self._head_options = {**{name: value for name, value in asked.items() if value is not None}, **options}
        if feature is None and self.feature == Task.feature:
            self.feature = self._head_class().reads or self.feature

    @property
    def output_shape(self) -> tuple[int, ...]:
        """The shape of the head's output, without the batch."""
        raise NotImplementedError

    def head(self, feature: tuple[int, ...]) -> torch.nn.Module:
        """Return the chosen head.

        Raises:
            UserError: it does not make such outputs from such a feature, or refuses an option.
        """
        from descant.heads import heads

        if not self._head_class().takes(feature, self.output_shape):
            raise UserError(
                f"the head {self._head_name!r} of the task {self.name!r} cannot make an output of shape "
                f"{self.output_shape} from the feature {self.feature!r} of shape {feature}: it needs "
                f"{self._head_class().needs}"
            )
        return heads.build(self._head_name, self._head_options, feature=feature, shape=self.output_shape)

    def fusion_key(self) -> Hashable | None:
        """Return the head's and the loss's key: a linear head without options, and a loss that is a plain function.

        None for a class that makes its head or its loss in a way of its own.
        """
        is_plain = type(self).loss is Task.loss and type(self).head is HeadedTask.head and self.label is not None
        if self._head_name != "linear" or self._head_options or not is_plain:
            return None
        return self.output_shape, self._loss, self.blank().dtype.str, self.blank().shape

    def _head_class(self) -> Any:
        from descant.heads import heads

        return heads.get(self._head_name)

    def _read_head(self, head: str | Mapping[str, Any] | None, default: str) -> tuple[str, dict[str, Any]]:
        options = {"name": default if head is None else head} if not isinstance(head, Mapping) else dict(head)
        name = options.pop("name", None)
        if not isinstance(name, str):
            raise UserError(
                f"the head of the task {self.name!r} is {head!r}: give a name, or a mapping with 'name' and options"
            )
        return name, options
