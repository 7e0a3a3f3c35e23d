"""From a recipe to a claimed run folder: what is wrong is said before anything is written."""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path

import pytest

from descant.data.description import describe
from descant.errors import UserError
from descant.launch.prepare import Launch, prepare
from descant.loop.checkpoints import Checkpoints
from descant.recipe import compose, parse_recipe
from descant.run.folder import RunFolder
from descant.run.request import RunRequest
from descant.trained import load
from support import image_data_set, mel_data_set

PLUGIN = """
from descant import Classification, register_task

@register_task("tone_of_a_test")
class Tone(Classification):
    \"\"\"The genre under another name.\"\"\"
    label = "genre"
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return mel_data_set(tmp_path_factory.mktemp("mels"), train=16, validation=8, test=8, frames=20, bands=128)


@pytest.fixture
def here(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").symlink_to(data)
    return tmp_path


def launch(*overrides: str, recipe: str = "genre") -> Launch:
    small = ["data=data", "run=inline", "inputs.mel.crop_frames=10", "trunk.hidden=[4]", "trainer.batch_size=8"]
    made = prepare(recipe, [*small, *overrides])
    made.lock.release()  # most tests do not go on to run it
    return made


def test_a_run_is_claimed_and_its_recipe_runs_again_as_it_is(here: Path) -> None:
    made = launch("tasks.smile=null", "seed=3")
    folder = here / "runs" / "genre"
    assert made.folder.path == folder
    assert not made.resumes
    assert not made.is_finished
    assert parse_recipe(RunFolder(folder).read_recipe()).fingerprint == made.recipe.fingerprint
    again = prepare(str(folder / "recipe.yaml"))
    assert again.folder.path == folder
    assert again.resumes
    assert RunRequest.from_json(made.request.to_json()) == made.request
    assert os.path.isabs(made.request.recipe["data"]), "workers run in other folders"


def test_the_recipe_of_a_run_spells_out_what_its_tasks_kinds_decide(here: Path) -> None:
    made = launch("tasks.reconstruction={}", "tasks.genre.weight={schedule: linear, start: 1}", "run.workers=[1,2]")
    saved = RunFolder(made.folder.path).read_recipe()
    assert saved["tasks"]["reconstruction"] == {"role": "auxiliary", "weight": 0.1}
    assert saved["tasks"]["genre"]["weight"] == {"schedule": "linear", "start": 1}
    assert saved["optimizer"] == {"name": "adam", "lr": 1e-3}
    assert (saved["run"]["name"], saved["run"]["workers"]) == ("genre", [1, 2])
    assert made.request.recipe == saved == made.recipe.plain
    assert launch("tasks.reconstruction.weight=0.1", "tasks.genre.weight={schedule: linear, start: 1}").resumes


def test_the_name_in_its_recipe_decides_where_a_renamed_run_goes_on(here: Path) -> None:
    launch("run.name=2024")
    (here / "runs" / "2024").rename(here / "runs" / "new")
    recipe = str(here / "runs" / "new" / "recipe.yaml")
    assert prepare(recipe, ["run.name=new"]).resumes
    fresh = prepare(recipe)
    assert (fresh.folder.path.name, fresh.resumes) == ("2024", False)


def test_an_unknown_name_hints_at_plugins_until_one_is_loaded(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("descant.plugins._loaded", {})
    with pytest.raises(UserError, match=r"no task 'genr': did you mean .*\? \(plugins=\[my_tasks.py\] loads"):
        launch("tasks.genr.weight=1")
    (here / "my_hints_of_a_test.py").write_text("")
    with pytest.raises(UserError, match=r"no task 'genr': did you mean .*\?$"):
        launch("tasks.genr.weight=1", "plugins=[my_hints_of_a_test.py]")


def test_the_same_command_goes_on_and_another_recipe_is_refused(here: Path) -> None:
    launch("seed=1")
    assert launch("seed=1", "run.max_failures=1").resumes, "where it runs decides nothing"
    before = (here / "runs" / "genre" / "recipe.yaml").read_text()
    with pytest.raises(
        UserError, match=r"exists with another recipe \(seed: 1 → 2\): give a new run.name, or resume=true"
    ):
        launch("seed=2")
    assert (here / "runs" / "genre" / "recipe.yaml").read_text() == before
    (here / "runs" / "genre" / "checkpoints").mkdir()
    with pytest.raises(UserError, match=r"\(seed: 1 → 2\): give a new run.name$"):
        launch("seed=2")
    (here / "runs" / "genre" / "checkpoints").rmdir()
    assert launch("seed=2", "resume=true").resumes
    assert RunFolder(here / "runs" / "genre").read_recipe()["seed"] == 2
    assert not launch("seed=9", "run.name=other").resumes


def test_a_run_with_a_plugin_goes_on_and_is_kept_without_the_file(here: Path) -> None:
    (here / "my_tasks_of_a_test.py").write_text(PLUGIN)
    command = ("plugins=[my_tasks_of_a_test.py]", "tasks.tone_of_a_test.weight=0.1")
    made = launch(*command)
    assert made.request.plugins[0]["source"] == PLUGIN
    assert (made.folder.path / "plugins" / "my_tasks_of_a_test.py").read_text() == PLUGIN
    assert launch(*command).resumes, "the same command continues the run"


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ([f"data={compose('genre')['data']}"], "there is no data set at .*fma.*make it with 'descant pack fma"),
        (["data=nowhere"], "there is no data set at .*nowhere.*make one with 'descant pack'"),
        (["trunk.hidden=[a]"], r"the option 'hidden' of the trunk 'bilstm' is \['a'\]: give a list of whole numbers"),
        (["trunk.dropout=much"], "the option 'dropout' of the trunk 'bilstm' is 'much': give a number"),
        (["tasks.genre.hidden=8"], "the option 'hidden' of the task 'genre' is 8: give a list of whole numbers"),
        (["inputs.mel.mel_scale=bark"], "the option 'mel_scale' of the input 'mel' is 'bark': give 'htk' or 'slaney'"),
        (["trainer.batch_size=17"], "trainer.batch_size is 17, but the training split has 16 samples"),
        (["tasks.genr.weight=1"], "there is no task 'genr': did you mean 'genre'"),
        (["tasks.smile.weight=1"], "reads the label 'smile', which the data set lacks"),
        (["trunk=bilstn"], "there is no trunk 'bilstn': did you mean 'bilstm'"),
        (["trunk.widht=3"], "no option 'widht'"),
        (["sharing=sotf"], "there is no sharing 'sotf': did you mean 'soft'"),
        (["balance=dynamic"], "there is no balancer 'dynamic'"),
        (["optimizer.momentun=0.9"], "no option 'momentun'"),
        (["run=rai"], "there is no runner 'rai': did you mean 'ray'"),
        (["tasks.genre.feature=map"], "reads the feature 'map', which the trunk lacks"),
        (["inputs.mel.crop=3"], "the input 'mel' has no option 'crop'"),
        (["inputs.mel=null"], "the recipe has no inputs"),
        (["tasks.genre.role=auxiliary"], "a recipe has one main task"),
        (["plugins=[none.py]"], "there is no plugin file 'none.py'"),
    ],
)
def test_what_cannot_work_is_one_sentence_and_claims_nothing(here: Path, overrides: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said) as caught:
        launch(*overrides)
    assert "\n" not in str(caught.value)
    assert not (here / "runs").exists()


def test_a_folder_that_holds_no_run_is_one_sentence(here: Path) -> None:
    with pytest.raises(UserError, match="there is no run at"):
        load("runs/none")
    launch()
    with pytest.raises(UserError, match="no checkpoint that was evaluated yet"):
        load("runs/genre")


def test_claiming_compares_every_key_that_decides_what_is_learnt(tmp_path: Path) -> None:
    folder, recipe = RunFolder(tmp_path / "run"), parse_recipe(compose("genre"))
    assert folder.claim(recipe.plain)[0] is False
    folder.write_recipe(recipe.plain)
    assert folder.claim(recipe.plain)[0] is True
    with pytest.raises(UserError, match="tasks.reconstruction"):
        folder.claim(parse_recipe(compose("genre_reconstruction")).plain)


def test_resuming_under_another_recipe_is_refused_where_the_checkpoint_cannot_follow(here: Path) -> None:
    from descant.loop.ranks import Ranks
    from descant.loop.worker import work

    made = launch("trainer.epochs=1")
    work(made.request, Ranks(), lambda: False)
    before = (made.folder.recipe).read_text()
    for change, said in (
        ("trunk.hidden=[5]", r"has weights of another model \(heads\..*take the change back"),
        ("optimizer.name=sgd", "has optimizer.name=adam and cannot go on with sgd"),
        ("seed=3", "has seed=0 and cannot go on with 3"),
        ("trainer.batch_size=5", "has trainer.batch_size=\\d+ and cannot go on with 5"),
    ):
        with pytest.raises(UserError, match=said):
            launch("trainer.epochs=1", change, "resume=true")
        assert made.folder.recipe.read_text() == before, "what cannot go on changes nothing"
    longer = launch("trainer.epochs=2", "optimizer.weight_decay=0.5", "resume=true")
    work(longer.request, Ranks(), lambda: False)
    state = Checkpoints(longer.folder.checkpoints).load("last")
    assert state is not None
    assert state.state["optimizer"]["param_groups"][0]["weight_decay"] == 0.5


@pytest.mark.parametrize("way", ["swapped", "another", "fingerprint"])
def test_shards_that_dataset_json_does_not_describe_are_refused(tmp_path: Path, way: str) -> None:
    data = mel_data_set(tmp_path / "data", train=16, validation=8, test=8)
    described = describe(data)
    described.write(data)
    overrides = [f"data={data}", f"run.dir={tmp_path}", "run=inline", "inputs.mel.crop_frames=24"]
    overrides.append("trainer.batch_size=8")
    prepare("genre", overrides).lock.release()
    if way == "swapped":
        shutil.copy2(data / "train-000000.tar", data / "validation-000000.tar")
    elif way == "another":
        other = mel_data_set(tmp_path / "other", train=16, validation=8, test=8, frames=70)
        shutil.copy2(other / "test-000000.tar", data / "test-000000.tar")
    else:
        dataclasses.replace(described, fingerprint="x").write(data)
    says = (
        "has 16 samples, and dataset.json says 8" if way == "swapped" else "are not those that dataset.json describes"
    )
    with pytest.raises(UserError, match=rf"{says}.*'descant data verify"):
        prepare("genre", [*overrides, f"run.name={way}"])
    assert not (tmp_path / way).exists()


def test_a_data_set_that_has_nothing_for_an_input_is_refused(tmp_path: Path) -> None:
    mels, faces = mel_data_set(tmp_path / "mels"), image_data_set(tmp_path / "faces")
    overrides = [f"data=['{mels}', '{faces}']", f"run.dir={tmp_path}", "run=inline", "inputs.mel.crop_frames=24"]
    with pytest.raises(UserError, match="'faces' has nothing for the input 'mel', which reads .*: it holds image"):
        prepare("genre", overrides)


def test_storage_that_takes_no_run_is_one_sentence(here: Path) -> None:
    with pytest.raises(UserError, match=r"the run folder '/proc/runs/genre' cannot be written \(.*\): set run.dir to"):
        launch("run.dir=/proc/runs")
