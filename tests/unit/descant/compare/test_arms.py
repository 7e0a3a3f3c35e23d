from __future__ import annotations

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from descant.compare.arms import Arm, parse_arms, plan, quoted, run_name, split_values
from descant.errors import UserError


def test_several_keys_make_the_product_with_the_baseline_first() -> None:
    arms = parse_arms(["tasks.x.weight=0,10", "trunk=bilstm,mlp"])
    assert [arm.name for arm in arms] == [
        "tasks.x.weight=0 trunk=bilstm",
        "tasks.x.weight=0 trunk=mlp",
        "tasks.x.weight=10 trunk=bilstm",
        "tasks.x.weight=10 trunk=mlp",
    ]


def test_commas_in_brackets_and_quotes_belong_to_the_value() -> None:
    assert split_values("[64,64],{a: 1, b: 2},'x,y',max(1,2)") == ["[64,64]", "{a: 1, b: 2}", "'x,y'", "max(1,2)"]


@pytest.mark.parametrize(
    ("given_arms", "part"),
    [
        (["weight"], "KEY=V1,V2"),
        (["weight="], "KEY=V1,V2"),
        (["weight=1"], "at least two values"),
        (["weight=1,1"], "same arm twice"),
        (["weight=1,2", "weight=3,4"], "names a key twice"),
        (["weight=1,,2"], "empty value"),
        (["weight=[1,2"], "open bracket"),
        (["seed=1,2"], "set by compare itself"),
    ],
)
def test_wrong_arms_are_refused_in_a_sentence(given_arms: list[str], part: str) -> None:
    with pytest.raises(UserError, match=part):
        parse_arms(given_arms)


def test_every_seed_has_all_arms_before_the_next_seed_starts() -> None:
    runs = plan(parse_arms(["w=0,1"]), 2, ["trainer.epochs=3"], "demo")
    assert [(run.arm, run.seed) for run in runs] == [("w=0", 0), ("w=1", 0), ("w=0", 1), ("w=1", 1)]
    assert runs[1].overrides == ("run=inline", "trainer.epochs=3", "w=1", "seed=0")
    assert plan([Arm(("w=0",))], 1, ["run=ray"], "demo")[0].overrides[:2] == ("run=ray", "w=0")


@pytest.mark.parametrize("override", ["seed=3", "run.name=x", "run.dir=y", "w=4"])
def test_overrides_that_would_undo_the_plan_are_refused(override: str) -> None:
    with pytest.raises(UserError):
        plan(parse_arms(["w=0,1"]), 1, [override], "demo")


def test_no_seed_is_refused() -> None:
    with pytest.raises(UserError, match="--seeds 0"):
        plan(parse_arms(["w=0,1"]), 0, [], "demo")


def test_a_name_that_lost_characters_keeps_arms_apart() -> None:
    assert run_name("tasks.x.weight=0.5", 3) == "tasks.x.weight-0.5.seed-3"
    assert run_name("w=[1,2]", 0) != run_name("w=[1;2]", 0)
    assert len(run_name("w=" + "a" * 500, 0)) < 200


@given(st.text("abcXYZ 019/._-=,'()[]{}:", min_size=1, max_size=40).filter(lambda text: text == text.strip()))
def test_a_quoted_value_comes_back_from_the_override_parser(text: str) -> None:
    value = "/" + text
    assert OverridesParser.create().parse_override(f"run.dir={quoted(value)}").value() == value


def test_the_key_recipe_chooses_between_recipes() -> None:
    arms = parse_arms(["recipe=alone,studies/all.yaml", "optimizer.lr=0.1,0.2"])
    assert [arm.name for arm in arms[1:3]] == ["alone optimizer.lr=0.2", "all optimizer.lr=0.1"]
    runs = plan(arms, 1, ["data=faces"], "alone")
    assert [run.recipe for run in runs] == ["alone", "alone", "studies/all.yaml", "studies/all.yaml"]
    assert runs[2].overrides == ("run=inline", "data=faces", "optimizer.lr=0.1", "seed=0")
    with pytest.raises(UserError, match="same arm twice"):
        parse_arms(["recipe=a/all.yaml,b/all.yaml"])
