"""Recipes by name and by path, and key=value overrides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from descant.errors import UserError
from descant.recipe import compose, parse_override, shipped_recipes


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("trainer.epochs=3", "trainer.epochs", 3),
        ("optimizer.lr=1e-3", "optimizer.lr", 0.001),
        ("resume=true", "resume", True),
        ("trainer.steps=null", "trainer.steps", None),
        ("run.workers=[1,4]", "run.workers", [1, 4]),
        ("tasks.smile={role: auxiliary, weight: 0.1}", "tasks.smile", {"role": "auxiliary", "weight": 0.1}),
        ("data=s3://bucket/fma", "data", "s3://bucket/fma"),
        ("data=../my data/fma-1_x.y", "data", "../my data/fma-1_x.y"),
        ("trainer.precision=bf16", "trainer.precision", "bf16"),
        ("plugins=[my_tasks.py]", "plugins", ["my_tasks.py"]),
        ("+name=x=y", "name", "x=y"),
        ("run.name=2024", "run.name", "2024"),
        ("run.name=007", "run.name", "007"),
        ("name=1e3", "name", "1e3"),
        ("data=2024", "data", "2024"),
        ("data=true", "data", "true"),
        ("run.name=null", "run.name", None),
    ],
)
def test_overrides_are_read_as_yaml(override: str, key: str, value: Any) -> None:
    assert parse_override(override) == (key, value)
    assert type(parse_override(override)[1]) is type(value)


@pytest.mark.parametrize("override", ["trainer.epochs", "=3", "trainer..epochs=3", ".a=1"])
def test_what_is_no_override_is_one_sentence(override: str) -> None:
    with pytest.raises(UserError, match="write key=value"):
        parse_override(override)


@pytest.mark.parametrize("override", ["data=a,b", "seed=choice(1,2)", "seed=range(1,3)"])
def test_a_sweep_never_becomes_its_repr(override: str) -> None:
    try:
        assert "Sweep" not in str(parse_override(override)[1])
    except UserError as error:
        assert override.split("=")[0] in str(error)


def test_shipped_recipes_compose_and_start_from_each_other() -> None:
    assert {"genre", "genre_reconstruction", "face_landmarks", "demo"} <= set(shipped_recipes())
    assert all(shipped_recipes().values()), "each says what it is in its first line"
    genre, both = compose("genre"), compose("genre_reconstruction")
    assert both["tasks"] == {**genre["tasks"], "reconstruction": {"role": "auxiliary", "weight": 10.0}}
    assert both["name"] == "genre_reconstruction"
    assert {key: both[key] for key in ("trunk", "inputs", "optimizer")} == {
        key: genre[key] for key in ("trunk", "inputs", "optimizer")
    }


def test_overrides_are_applied_in_their_order() -> None:
    plain = compose(
        "genre",
        ["run=inline", "run.workers=2", "trunk=mlp", "trunk.hidden=[8]", "tasks.smile.weight=0.1", "seed=1", "seed=2"],
    )
    assert plain["run"] == {"runner": "inline", "workers": 2}
    assert plain["trunk"] == {"name": "mlp", "hidden": [8]}, "another trunk does not inherit options"
    assert plain["tasks"]["smile"] == {"weight": 0.1}
    assert plain["seed"] == 2


def test_the_trunk_that_a_recipe_has_keeps_its_options() -> None:
    assert compose("genre", ["trunk=bilstm"])["trunk"] == compose("genre")["trunk"]


def test_a_users_file_starts_from_a_shipped_recipe_and_takes_tasks_out(tmp_path: Path) -> None:
    file = tmp_path / "digits.yaml"
    file.write_text(
        "defaults: [genre, _self_]\nname: digits\ntasks:\n  genre: null\n  digit: {role: main}\n"
        "seed: 3\ntrainer:\n  epochs: ${seed}\n"
    )
    plain = compose(str(file))
    assert plain["tasks"] == {"genre": None, "digit": {"role": "main"}}
    assert plain["trainer"] == {"epochs": 3, "batch_size": 32}
    assert compose(str(file), ["seed=4"])["trainer"]["epochs"] == 4, "overrides come before references to them"
    assert plain["inputs"] == compose("genre")["inputs"]


def test_a_file_without_a_name_has_its_own(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("data: somewhere\n")
    assert compose(str(tmp_path / "mine.yaml"))["name"] == "mine"


def test_a_runner_in_the_file_survives_an_override_beside_it(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("data: somewhere\nrun: inline\n")
    plain = compose(str(tmp_path / "mine.yaml"), ["run.workers=1"])
    assert plain["run"] == {"runner": "inline", "workers": 1}


def test_how_to_make_the_data_is_only_said_of_the_data_it_was_written_for(tmp_path: Path) -> None:
    start = "defaults: [genre, _self_]\n"
    for name, text in {"same": "", "other": "data: x\n", "both": "data: x\ndata_help: make x\n"}.items():
        (tmp_path / f"{name}.yaml").write_text(start + text)
    (tmp_path / "child.yaml").write_text("defaults: [other, _self_]\nseed: 1\n")
    shipped = compose("genre")["data_help"]
    assert "descant pack fma" in shipped
    helps = {name: compose(str(tmp_path / f"{name}.yaml"))["data_help"] for name in ("same", "other", "both", "child")}
    assert helps == {"same": shipped, "other": "", "both": "make x", "child": ""}
    assert compose("genre", ["data=data/fma"])["data_help"] == shipped
    assert "data_help" not in compose("genre", ["data=elsewhere"])
    assert compose("genre", ["data=elsewhere", "data_help=ask"])["data_help"] == "ask"


def test_a_file_without_self_comes_last_and_nothing_is_warned_of(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("defaults: [genre]\nseed: 7\ndata: mine\n")
    plain = compose(str(tmp_path / "mine.yaml"))  # warnings are errors under pytest
    assert (plain["seed"], plain["data"], plain["data_help"]) == (7, "mine", "")
    assert plain["tasks"] == compose("genre")["tasks"]


def test_a_recipe_in_a_folder_starts_from_files_beside_it(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "short.yaml").write_text("trainer: {epochs: 1}\n")
    (tmp_path / "my recipe.v2.yaml").write_text("defaults: [genre, parts/short@_global_, _self_]\nname: a\n")
    plain = compose(str(tmp_path / "my recipe.v2.yaml"))
    assert (plain["trainer"]["epochs"], plain["name"]) == (1, "a")


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ("genr", "there is no recipe 'genr': did you mean 'genre'"),
        ("{folder}/none.yaml", "there is no recipe file"),
        ("{folder}/list.yaml", "cannot be read|write a mapping"),
        ("{folder}/broken.yaml", r"broken.yaml' cannot be read as YAML: line 2, column 4: .*expected"),
        ("{folder}/twice.yaml", "line 3, column 1: found duplicate key seed"),
        ("{folder}/bytes.yaml", "cannot be read"),
        ("{folder}/loop.yaml", "cannot be resolved"),
        ("{folder}/lost.yaml", "starts from 'genr', which neither ships nor lies beside it: did you mean 'genre'"),
        ("{folder}/above.yaml", "lost.yaml' starts from 'genr'"),
        ("{folder}/round.yaml", "starts from 'round', which is the same file"),
        ("{folder}/word.yaml", r"has defaults: 'genre'; write a list, such as \[genre, _self_\]"),
        ("{folder}/old.yml", "does not end in .yaml: rename it"),
        ("{folder}/run", r"is the folder of a run: to train its recipe, give '.*/run/recipe.yaml'"),
    ],
)
def test_what_is_no_recipe_is_one_sentence(tmp_path: Path, recipe: str, said: str) -> None:
    (tmp_path / "list.yaml").write_text("- 1\n- 2\n")
    (tmp_path / "broken.yaml").write_text("a: [1,\nb: }\n")
    (tmp_path / "twice.yaml").write_text("seed: 1\ndata: x\nseed: 2\n")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe")
    (tmp_path / "above.yaml").write_text("defaults: [lost, _self_]\n")
    (tmp_path / "round.yaml").write_text("defaults: [round, _self_]\n")
    (tmp_path / "word.yaml").write_text("defaults: genre\n")
    (tmp_path / "old.yml").write_text("data: x\n")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "recipe.yaml").write_text("data: x\n")
    (tmp_path / "loop.yaml").write_text("a: ${b}\nb: ${a}\n")
    (tmp_path / "lost.yaml").write_text("defaults: [genr, _self_]\n")
    with pytest.raises(UserError, match=said) as caught:
        compose(recipe.format(folder=tmp_path))
    assert "\n" not in str(caught.value)
