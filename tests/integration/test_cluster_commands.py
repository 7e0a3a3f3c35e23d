"""A cluster of one's own behind a token, and jobs on it from a folder with a recipe and a plugin alone."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import stat
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from cluster_user import PATIENCE_S, PLUGIN, RECIPE, User, check_nothing_answers_strangers, one_sentence
from descant_cluster.marked import MARK
from support import mel_data_set

pytestmark = [pytest.mark.ray, pytest.mark.slow]


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    """The user of a cluster of two workers, which is ended at the end."""
    home, folder = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("clean")
    (folder / "my_recipe.yaml").write_text(RECIPE)
    (folder / "my_tasks.py").write_text(PLUGIN.format(slow=str(home / "slow")))
    user = User(home, folder)
    try:
        started = user.says("cluster", "up", "--workers", "2")
        assert started.returncode == 0, started.stderr
        assert user.cluster()["address"] in started.stdout.splitlines(), "on a line of its own"
        yield user
    finally:
        all_of_it = user.processes()
        ended = user.says("cluster", "down")
        gone = not (user.home / ".local/state/descant/cluster.json").exists()
        left = [process.cmdline() for process in all_of_it if process.is_running()]
        for process in all_of_it:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
    assert ended.returncode == 0 and left == [] and gone


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"data={mel_data_set(tmp_path_factory.mktemp('mels'), train=64, validation=8, test=8, frames=20)}"


def test_a_second_cluster_is_refused_and_the_first_one_is_known(user: User) -> None:
    one_sentence(user.says("cluster", "up"), "a cluster runs already, at http://127.0.0.1:")
    told = user.says("cluster", "status")
    assert told.returncode == 0 and user.cluster()["address"] in told.stdout.splitlines()
    assert user.jobs() == {}


def test_the_token_is_its_owners_alone(user: User) -> None:
    state = user.home / ".local/state/descant"
    token = state / "token"
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    for file in (token, state / "cluster.json"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    secret = token.read_text()
    assert len(secret) == 64
    folder = Path(user.cluster()["folder"])
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert len(user.processes()) > 4
    for process in psutil.process_iter():
        try:
            assert secret not in " ".join(process.cmdline()), "in the list of processes"
        except psutil.Error:
            continue
    for file in folder.rglob("*"):
        if file.is_file():
            assert secret.encode() not in file.read_bytes(), file


def test_without_a_token_or_with_a_wrong_one_nothing_runs(user: User, data: str, tmp_path: Path) -> None:
    address = user.cluster()["address"]
    submit = ["submit", "my_recipe.yaml", "--address", address, data]
    stranger = User(tmp_path, user.folder)
    one_sentence(stranger.says(*submit), "there is no token for the cluster at")
    wrong = tmp_path / "wrong"
    wrong.write_text("0" * 64)
    wrong.chmod(0o600)
    one_sentence(user.says(*submit, RAY_AUTH_TOKEN_PATH=str(wrong)), "refuses the token of")
    refused = user.says(*submit, RAY_AUTH_TOKEN="1" * 64)
    one_sentence(refused, "refuses the token of RAY_AUTH_TOKEN")
    assert "1" * 64 not in refused.stdout + refused.stderr
    one_sentence(user.says(*submit, RAY_AUTH_MODE="disabled"), "wants a token and got none")
    one_sentence(user.says("logs", "any", RAY_AUTH_TOKEN="1" * 64), "refuses the token of RAY_AUTH_TOKEN")
    train = ["train", "my_recipe.yaml", data, f"run.address={user.cluster()['gcs']}", "run.name=stranger"]
    refused = user.says(*train, RAY_AUTH_TOKEN="1" * 64)
    assert refused.returncode == 2 and "refuses the token of RAY_AUTH_TOKEN" in refused.stderr, refused.stderr
    assert refused.stderr.count("descant: ") == 1 and "Traceback" not in refused.stderr
    assert user.jobs() == {}


def job_name(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    (name,) = re.findall(r"^job: (\S+)$", done.stdout, flags=re.MULTILINE)
    return str(name)


def test_a_job_is_submitted_stopped_continued_killed_and_continued(user: User, data: str) -> None:
    (user.home / "slow").touch()
    submit = ["submit", "my_recipe.yaml", data, "trainer.epochs=20", "trainer.checkpoint_s=1", "run.name=long"]
    first = job_name(user.says(*submit))
    assert user.jobs() == {first: "running"}
    user.wait_for_losses("long", 20)
    check_nothing_answers_strangers(user)
    stopped = user.says("stop", first)
    assert stopped.returncode == 0 and f"descant resubmit {first}" in stopped.stdout
    assert user.jobs() == {first: "stopped"}
    assert user.summary("long")["status"] == "interrupted"
    consumed = user.summary("long")["data"]["consumed"]
    assert 0 < consumed < 20 * 64

    second = job_name(user.says("resubmit", first))
    before = (user.folder / "runs/long/metrics.jsonl").read_bytes().count(b'"metric": "loss"')
    user.wait_for_losses("long", before + 20)
    (driver,) = [process for process in user.processes() if "descant_cluster.job" in process.cmdline()]
    driver.kill()
    died = user.says("logs", second, "--follow")
    assert died.returncode == 1 and f"descant resubmit {second}" in died.stderr, died.stderr

    (user.home / "slow").unlink()
    third = user.says("resubmit", second, "--wait")
    assert third.returncode == 0, third.stdout + third.stderr
    assert "best epoch" in third.stdout
    assert set(user.jobs().values()) == {"stopped", "failed", "succeeded"}
    done = user.summary("long")
    assert (done["status"], done["resumed"], done["data"]["consumed"]) == ("finished", 2, 20 * 64)
    assert "tone_of_a_job" in done["tasks"]
    assert "best epoch" in user.says("logs", job_name(third)).stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["data=/nowhere/at/all"], "/nowhere/at/all"),
        (["run.dir=/proc/runs"], "/proc/runs"),
        (["trainer.epochs=0"], "trainer.epochs is 0"),
    ],
)
def test_what_cannot_work_is_one_sentence_at_once(user: User, data: str, words: Sequence[str], said: str) -> None:
    done = user.says("submit", "my_recipe.yaml", data, "run.name=refused", *words)
    assert done.returncode == 2, done.stdout + done.stderr
    sentences = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("descant: ")]
    assert len(sentences) == 1 and said in sentences[0]
    assert "Traceback" not in done.stdout + done.stderr


def test_train_takes_the_token_by_itself(user: User, data: str) -> None:
    words = ["trainer.epochs=1", "run.name=direct", "run.workers=2", f"run.address={user.cluster()['gcs']}"]
    done = user.says("train", "my_recipe.yaml", data, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert user.summary("direct")["status"] == "finished"
    secret = (user.home / ".local/state/descant/token").read_text().encode()
    assert all(secret not in file.read_bytes() for file in (user.folder / "runs").rglob("*") if file.is_file())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a process a file system of its own")
def test_data_that_one_node_does_not_see_is_refused_before_workers_start(user: User, data: str) -> None:
    folder, cluster = data.removeprefix("data="), user.cluster()
    script = Path(__file__).parents[1] / "second_node.py"
    hidden = f"mount -t tmpfs none {shlex.quote(folder)} && exec {sys.executable} {script} {cluster['gcs']}"
    variables = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": cluster["token"], MARK: cluster["mark"]}
    other = subprocess.Popen(
        ["unshare", "-m", "sh", "-c", hidden],
        env=user.environment(RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0", **variables),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert other.stdout is not None and "runs" in other.stdout.readline()
        done = user.says("submit", "my_recipe.yaml", data, "run.name=halfseen")
        assert done.returncode == 2, done.stdout + done.stderr
        (sentence,) = [line for line in done.stdout.splitlines() if line.startswith("descant: ")]
        assert re.search(rf"the node 127\.0\.0\.1 #\d does not see the data set '{folder}'", sentence)
        assert "starting the workers" not in done.stdout
    finally:
        other.communicate("", timeout=PATIENCE_S)


def test_a_run_outlives_the_head_of_its_cluster(user: User, data: str) -> None:
    (user.home / "slow").touch()
    submit = ["submit", "my_recipe.yaml", data, "trainer.epochs=10", "trainer.checkpoint_s=1", "run.name=headless"]
    first = job_name(user.says(*submit))
    user.wait_for_losses("headless", 20)
    head, all_of_it = user.cluster()["pid"], user.processes()
    psutil.Process(head).kill()
    one_sentence(user.says("cluster", "status"), "has died: 'descant cluster down' clears up after it", code=1)
    started = user.says("cluster", "up", "--workers", "2")
    assert started.returncode == 0, started.stderr
    assert not [process.cmdline() for process in all_of_it if process.is_running()], "left of the one before"
    (user.home / "slow").unlink()
    again = user.says("resubmit", first, "--wait", "--address", user.cluster()["address"])
    assert again.returncode == 0, again.stdout + again.stderr
    done = user.summary("headless")
    assert (done["status"], done["resumed"], done["data"]["consumed"]) == ("finished", 1, 10 * 64)
