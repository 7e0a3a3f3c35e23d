"""Names, options and entry points of registered classes."""

from __future__ import annotations

import pytest

from descant.errors import UserError, nearest
from descant.registry import Registry
from descant.tasks import Classification, Task, register_task, tasks


class Shape:
    def __init__(self, sides: int, *, colour: str = "red") -> None:
        self.sides, self.colour = sides, colour


class Square(Shape):
    def __init__(self, *given: int, size: float = 1.0, **options: str) -> None:
        super().__init__(*given, **options)
        self.size = size


@pytest.fixture
def shapes() -> Registry[Shape]:
    registry: Registry[Shape] = Registry("shape", "shapes_of_a_test")
    registry.register("shape")(Shape)
    registry.register("square")(Square)
    return registry


def test_a_class_is_found_and_built_by_name(shapes: Registry[Shape]) -> None:
    assert shapes.get("square") is Square
    assert shapes.names() == ["shape", "square"]
    assert dict(shapes.items()) == {"shape": Shape, "square": Square}
    made = shapes.build("shape", {"colour": "blue"}, sides=3)
    assert (made.sides, made.colour) == (3, "blue")


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("sqare", {}, "there is no shape 'sqare': did you mean 'square'"),
        ("shape", {"color": "blue", "sides": 1}, "the shape 'shape' has no option 'color': did you mean 'colour'"),
        ("shape", {}, "the shape 'shape' needs the option 'sides'"),
        ("square", {"siz": 1, "sides": 4}, "has no option 'siz': did you mean 'size'"),
        ("square", {"tint": "blue", "sides": 4}, "has no option 'tint'"),
    ],
)
def test_a_wrong_name_or_option_is_one_sentence_with_the_nearest(
    shapes: Registry[Shape], name: str, options: dict[str, object], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        shapes.build(name, options)


def test_what_the_engine_gives_is_no_option(shapes: Registry[Shape]) -> None:
    with pytest.raises(UserError, match="has no option 'sides'"):
        shapes.build("shape", {"sides": 4}, sides=3)


def test_a_name_is_taken_once_but_the_same_class_may_come_again(shapes: Registry[Shape]) -> None:
    shapes.register("shape")(Shape)
    with pytest.raises(UserError, match=r"the shape 'shape' is registered twice, by .*\.Shape and by .*\.Square"):
        shapes.register("shape")(Square)
    assert shapes.get("shape") is Shape


def test_the_tasks_that_ship_are_known_and_their_names_taken() -> None:
    shipped = {"genre", "reconstruction", "face_landmarks", "pose", "gender", "glasses", "smile"}
    assert shipped <= set(tasks.names())
    assert all(issubclass(tasks.get(name), Task) and tasks.get(name).__doc__ for name in shipped)
    with pytest.raises(UserError, match="the task 'genre' is registered twice, by .*descant_tasks.genre"):

        @register_task("genre")
        class Mine(Classification):
            label = "mine"


@pytest.mark.parametrize(
    ("given", "known", "said"),
    [
        ("genr", ["smile", "genre"], "did you mean 'genre'?"),
        ("zzz", ["b", "a"], "known: a, b"),
        ("x", [], "none are known"),
    ],
)
def test_the_nearest_names(given: str, known: list[str], said: str) -> None:
    assert nearest(given, known) == said
