"""A folder of shards with Python files beside them: the processes that read the shards do not import these."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tars import flat, samples_of, write_tar

MODULES = ("json", "selectors", "pickle", "subprocess", "threading", "signal", "numpy", "descant", "sitecustomize")
WAYS = {
    "verify": "from descant.cli.main import main; sys.exit(main(['data', 'verify', '.', '--jobs', '2']))",
    "index": "from descant.data.index import load_indexes; print(len(load_indexes(['0.tar', '1.tar'], jobs=2)))",
    "pool": "from descant.parallel import in_order; print(*in_order(len, ['a', 'bc'], 2, None))",
}


@pytest.mark.parametrize("way", list(WAYS))
def test_modules_in_the_current_folder_are_not_imported(tmp_path: Path, way: str) -> None:
    folder, harm, script = tmp_path / "shards", tmp_path / "harm", tmp_path / "script.py"
    folder.mkdir()
    for number in range(2):
        write_tar(folder / f"{number}.tar", flat(samples_of(number + 1)))
    for module in MODULES:
        (folder / f"{module}.py").write_text(f"open({str(harm)!r}, 'a').write({module!r})")
    # As the installed program does, a script has its own folder on its path, not the current one.
    script.write_text(f"import sys\n{WAYS[way]}\n")
    done = subprocess.run([sys.executable, str(script)], cwd=folder, capture_output=True, text=True)
    assert not harm.exists(), harm.read_text()
    assert done.returncode == 0, done.stderr
    expected = {"verify": "3 samples in 2 shards: no problems\n", "index": "2\n", "pool": "1 2\n"}
    assert done.stdout.endswith(expected[way])
