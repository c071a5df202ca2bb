"""A training that costs nothing: it notes its start and its threads, waits until it may end, and writes a log.

At a signal it takes half a second to save, and notes that it has.

As a script: FOLDER RELEASE SCORE, or "runner" OUT RELEASE to run the experiment of one such training.
"""

import json
import os
import sys
import time
from pathlib import Path


def one_run(row="only", seed=1, images=64):
    from rnnpool.experiments.definition import Run  # here, for the training itself shall start at once
    from rnnpool.train.recipe import parse_recipe

    train = {"images": images, "seed": seed}
    recipe = parse_recipe({"task": "detection", "model": {"name": "face-tiny"}, "train": train})
    return Run(row, seed, Path("recipe.yaml"), (f"train.seed={seed}",), recipe)


def command(release, score="0.5"):
    return lambda run, data, folder: [sys.executable, __file__, str(folder), str(release), str(score)]


def training(folder, release, score):
    from rnnpool.train.interrupt import StopRequest

    with StopRequest() as stop:
        with open(folder / "starts", "a") as file:
            file.write("x")
        (folder / "threads").write_text(os.environ["OMP_NUM_THREADS"])
        deadline = time.monotonic() + 60
        while not release.exists():
            if time.monotonic() > deadline:
                sys.exit("never released")
            if stop.signum:
                time.sleep(0.5)
                (folder / "saved").touch()
                sys.exit(128 + stop.signum)
            time.sleep(0.02)
    if score == "unreadable":
        print("working\nrnnpool: error: 2 of 9 images cannot be read:\n  a.png: empty\n  b.png: empty", flush=True)
        sys.exit(2)
    if score == "fail":
        print("working", flush=True)
        sys.exit("no such luck")
    lines = [
        {"kind": "train", "step": 1, "images": 100, "images_per_second": 50.0, "seconds_waiting": 0.1},
        {"kind": "train", "step": 3, "images": 300, "images_per_second": 100.0, "seconds_waiting": 0.3},
        {"kind": "evaluation", "step": 2, "images": 200, "top1": 0.1, "seconds": 1.0},
        {"kind": "evaluation", "step": 3, "images": 300, "top1": float(score), "seconds": 1.0},
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


if __name__ == "__main__":
    if sys.argv[1] == "runner":
        from rnnpool.experiments.runner import run_all

        out, release = map(Path, sys.argv[2:])
        run_all([one_run()], out, out, jobs=1, threads=1, say=print, command=command(release))
    else:
        training(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
