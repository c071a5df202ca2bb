"""The runner: the done is skipped, the killed goes on, nothing is trained twice at once, failures are listed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from fake_training import command, one_run

from rnnpool.errors import InputError
from rnnpool.experiments.ledger import Ledger
from rnnpool.experiments.runner import run_all

FAKE = Path(__file__).parent / "fake_training.py"


@pytest.fixture
def release(tmp_path):
    path = tmp_path / "release"
    path.touch()
    return path


def run(out, runs, release, score="0.5", jobs=1, say=lambda text: None):
    return run_all(runs, out, out, jobs=jobs, threads=1, say=say, command=command(release, score))


def starts(out, item):
    path = out / item.name / "starts"
    return len(path.read_text()) if path.exists() else 0


def wait_until(holds, seconds=60):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_every_run_once_with_its_figures(tmp_path, release):
    runs = [one_run(row, seed) for seed in (1, 2) for row in ("a", "b")]
    assert run(tmp_path, runs, release, jobs=2) is None
    entries = Ledger(tmp_path / "results.jsonl").entries()
    assert set(entries) == {item.name for item in runs}
    entry = entries[runs[0].name]
    assert (entry["status"], entry["row"], entry["seed"]) == ("done", "a", 1)
    assert entry["metrics"] == {"top1": 0.5}
    assert entry["images_per_second"] == 75.0  # 300 images in 2 and 2 seconds
    assert entry["waiting"] == 0.1
    run(tmp_path, [*runs, one_run("c")], release, jobs=3)
    assert [starts(tmp_path, item) for item in (*runs, one_run("c"))] == [1] * 5
    assert starts(tmp_path, one_run("a", images=128)) == 0  # another budget is another run


def test_runs_on_other_data_are_not_passed_off_as_these(tmp_path, release):
    said = []
    for data in ("here", "there"):
        run_all([one_run()], tmp_path / data, tmp_path, jobs=1, threads=1, say=said.append, command=command(release))
    assert starts(tmp_path, one_run()) == 1
    warning = f"were trained on {tmp_path / 'here'}, not on {tmp_path / 'there'}; another --out trains them anew"
    assert [text for text in said if "were trained on" in text] == [f"runs that are done {warning}"]


@pytest.mark.parametrize(
    ("asked", "told", "threads"),
    [(3, "5", "3"), (0, "5", "5"), (0, None, "share"), (0, "all", "share")],
)
def test_threads_are_those_asked_for_or_of_the_environment_or_a_share(
    tmp_path, release, monkeypatch, asked, told, threads
):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if told is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", told)
    run_all([one_run()], tmp_path, tmp_path, jobs=2, threads=asked, say=print, command=command(release))
    share = str(max(1, (os.cpu_count() or 1) // 2))
    assert (tmp_path / one_run().name / "threads").read_text() == (share if threads == "share" else threads)


def test_failures_are_noted_and_tried_again(tmp_path, release):
    said = []
    run(tmp_path, [one_run()], release, "fail", say=said.append)
    entry = Ledger(tmp_path / "results.jsonl").entries()[one_run().name]
    assert (entry["status"], entry["exit"], entry["message"]) == ("failed", 1, ["no such luck"])
    assert "FAILED with status 1: no such luck" in said[-1]
    run(tmp_path, [one_run()], release)
    assert Ledger(tmp_path / "results.jsonl").entries()[one_run().name]["status"] == "done"
    assert starts(tmp_path, one_run()) == 2


def test_an_error_of_several_lines_is_kept_whole(tmp_path, release):
    said = []
    run(tmp_path, [one_run()], release, "unreadable", say=said.append)
    message = Ledger(tmp_path / "results.jsonl").entries()[one_run().name]["message"]
    assert message == ["rnnpool: error: 2 of 9 images cannot be read:", "  a.png: empty", "  b.png: empty"]
    assert said[-1].endswith("FAILED with status 2: " + "\n".join(message))
    run(tmp_path, [one_run()], release, "fail")  # the log holds the error before, which is not this one's
    assert Ledger(tmp_path / "results.jsonl").entries()[one_run().name]["message"] == ["no such luck"]


def test_after_kill_9_the_training_left_behind_is_waited_for(tmp_path):
    release, item = tmp_path / "release", one_run()
    arguments = [sys.executable, str(FAKE), "runner", str(tmp_path), str(release)]
    runner = subprocess.Popen(arguments, stdout=subprocess.DEVNULL)
    wait_until(lambda: starts(tmp_path, item) == 1)
    runner.kill()
    runner.wait()
    second = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    assert second.stdout is not None
    lines = [second.stdout.readline(), second.stdout.readline()]
    assert "still under way from before" in lines[1]
    with pytest.raises(InputError, match="another process runs this experiment"):
        run(tmp_path, [item], release)
    assert starts(tmp_path, item) == 1
    release.touch()
    assert second.wait(timeout=60) == 0
    assert starts(tmp_path, item) == 2  # once more to see that it is complete; training resumes at its end
    assert Ledger(tmp_path / "results.jsonl").entries()[item.name]["status"] == "done"


@pytest.mark.parametrize("send", [os.kill, os.killpg], ids=["to the runner", "to its group, as Ctrl-C does"])
def test_a_signal_stops_the_trainings_too(tmp_path, send):
    item = one_run()
    arguments = [sys.executable, str(FAKE), "runner", str(tmp_path), str(tmp_path / "release")]
    runner = subprocess.Popen(arguments, start_new_session=True)
    wait_until(lambda: starts(tmp_path, item) == 1)
    send(runner.pid, signal.SIGINT)
    assert runner.wait(timeout=60) == 0
    assert (tmp_path / item.name / "saved").exists()
    assert Ledger(tmp_path / "results.jsonl").entries() == {}
    (tmp_path / "release").touch()
    run(tmp_path, [item], tmp_path / "release")  # the lock is free: nothing was left behind
    assert starts(tmp_path, item) == 2


def test_the_ledger_survives_a_torn_line(tmp_path):
    ledger = Ledger(tmp_path / "results.jsonl")
    ledger.add({"run": "a", "value": 1})
    with open(ledger.path, "a") as file:
        file.write('{"run": "b", "val')
    assert ledger.entries() == {"a": {"run": "a", "value": 1}}
    ledger.add({"run": "a", "value": 2})
    assert [json.loads(line) for line in ledger.path.read_text().splitlines()] == [
        {"run": "a", "value": 1},
        {"run": "a", "value": 2},
    ]
    assert ledger.entries()["a"]["value"] == 2
    ledger.path.write_text('{"run": "a"}\nnot JSON\n')
    with pytest.raises(InputError, match=r"results.jsonl:2: damaged, expected a JSON object: 'not JSON'"):
        ledger.entries()
    assert os.stat(ledger.path).st_mode & 0o777 == 0o644
