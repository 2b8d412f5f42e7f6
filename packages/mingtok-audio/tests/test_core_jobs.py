"""The runner of files: order, resuming, leftovers, processes that end with their parent."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mingtok_audio.core.errors import UserError
from mingtok_audio.core.files import atomic_write, atomic_write_text, begun_by_the_dead
from mingtok_audio.core.jobs import Advance, Job, Result, Work, done, explain, run_jobs, sweep


class Upper(Work):
    """Writes a text in capitals; "bad" fails, and "worse" is no error of ours."""

    record_name = ".upper.jsonl"

    def __init__(self, suffix: str = "") -> None:
        self.suffix = suffix

    def load(self) -> str:
        return self.suffix

    def identity(self) -> dict[str, Any]:
        return {"suffix": self.suffix}

    def run(self, model: str, jobs: Sequence[Job], advance: Advance) -> list[Result]:
        out = []
        for job in jobs:
            if job.text == "bad":
                raise UserError("bad cannot be used")
            if job.text == "worse":
                raise ZeroDivisionError("nothing")
            if job.output is not None:
                atomic_write_text(job.output, job.text.upper() + model)
            out.append(done(job, {"length": len(job.text)}))
        return out


def jobs_of(texts: Sequence[str], folder: Path | None = None) -> list[Job]:
    return [
        Job(f"item {i}", text=t, output=None if folder is None else folder / f"{i}.txt")
        for i, t in enumerate(texts)
    ]


@given(
    st.lists(st.sampled_from(["a", "bc", "bad", "worse"]), min_size=1, max_size=9),
    st.integers(1, 4),
)
def test_results_keep_the_order_and_a_failure_spoils_no_other(texts: list[str], batch: int) -> None:
    results = list(run_jobs(Upper(), jobs_of(texts), batch=batch))
    assert [r["input"] for r in results] == [f"item {i}" for i in range(len(texts))]
    for text, result in zip(texts, results, strict=True):
        fine = text not in ("bad", "worse")
        assert result["status"] == ("ok" if fine else "failed")
        if not fine:
            assert result["input"] in result["error"]
            assert "\n" not in result["error"]


def test_worker_processes_give_what_one_process_gives(tmp_path: Path) -> None:
    texts = ["a", "bad", "b", "worse", "c"]
    alone = list(run_jobs(Upper("!"), jobs_of(texts)))
    assert list(run_jobs(Upper("!"), jobs_of(texts), workers=2)) == alone


def test_what_is_done_and_whole_is_not_made_again(tmp_path: Path) -> None:
    jobs = jobs_of(["a", "b"], tmp_path)

    def statuses(work: Work, **options: Any) -> list[str]:
        return [r["status"] for r in run_jobs(work, jobs, **options)]

    assert statuses(Upper()) == ["ok", "ok"]
    assert statuses(Upper()) == ["skipped", "skipped"]
    assert statuses(Upper(), force=True) == ["ok", "ok"]
    (tmp_path / "0.txt").write_text("damaged")
    assert statuses(Upper()) == ["ok", "skipped"]
    assert statuses(Upper("?")) == ["ok", "ok"]  # another identity
    assert (tmp_path / "0.txt").read_text() == "A?"


def test_leftovers_of_the_dead_go_and_those_of_the_living_stay(tmp_path: Path) -> None:
    script = (
        "import os, sys, time\n"
        "from mingtok_audio.core.files import atomic_write\n"
        "with atomic_write(sys.argv[1]) as path:\n"
        "    path.write_text('half')\n"
        "    print('begun', flush=True)\n"
        "    time.sleep(60)\n"
    )
    target = tmp_path / "x.wav"
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(target)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "begun\n"
    (tmp_path / ".gitignore").write_text("")
    (tmp_path / ".x.0123456789ab.wav").write_text("another program's")
    assert sweep([tmp_path]) == 0
    child.kill()
    child.stdout.read()  # ends with the process, whose number is taken until it is waited for
    if Path("/proc/self/stat").exists():
        deadline = time.monotonic() + 10
        while not begun_by_the_dead(tmp_path) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(begun_by_the_dead(tmp_path)) == 1
    child.wait()
    child.stdout.close()
    assert len(begun_by_the_dead(tmp_path)) == 1
    with atomic_write(target) as mine:
        mine.write_text("whole")
        assert sweep([tmp_path]) == 1
    assert target.read_text() == "whole"
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        ".gitignore", ".x.0123456789ab.wav", "x.wav",
    ]  # fmt: skip


class Slow(Upper):
    """Says which process works, and works on."""

    def run(self, model: str, jobs: Sequence[Job], advance: Advance) -> list[Result]:
        (Path(self.suffix) / f"{os.getpid()}.pid").touch()
        time.sleep(60)
        return []


@pytest.mark.skipif(sys.platform == "win32", reason="kills by signal")
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_with_their_parent(tmp_path: Path, ending: int) -> None:
    script = tmp_path / "run.py"
    script.write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from test_core_jobs import Slow, jobs_of\n"
        "from mingtok_audio.core.jobs import run_jobs\n"
        "if __name__ == '__main__':\n"
        f"    list(run_jobs(Slow({str(tmp_path)!r}), jobs_of(['a', 'b']), workers=2))\n"
    )
    parent = subprocess.Popen([sys.executable, str(script)])
    limit = time.monotonic() + 60
    while len(pids := list(tmp_path.glob("*.pid"))) < 2:
        assert time.monotonic() < limit
        time.sleep(0.05)
    parent.send_signal(ending)
    parent.wait()
    while any(_lives(int(p.stem)) for p in pids):
        assert time.monotonic() < limit
        time.sleep(0.05)


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (OSError, IndexError):
        return False
    return state != "Z"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (UserError("x.wav is empty"), "x.wav is empty"),
        (
            OSError(errno.ENOSPC, "No space left on device", "y.json"),
            "y.json: no space left on device",
        ),
        (MemoryError(), "not enough memory"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"),
            "not enough memory",
        ),
        (ValueError("two\nlines"), "internal error: ValueError: two lines (this is a bug"),
    ],
)
def test_any_error_is_one_line(error: Exception, expected: str) -> None:
    text = explain(error, Job("x.wav"))
    assert expected in text
    assert "\n" not in text
    assert "x.wav" in text
