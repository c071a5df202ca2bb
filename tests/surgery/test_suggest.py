"""Proposals keep their word: the replacement that they print works and costs what they say."""

import json
from pathlib import Path

import pytest
import torch
from made_networks import Functional, Named
from torch import nn

import rnnpool
from rnnpool.cli import main
from rnnpool.cost import count
from rnnpool.cost.standard import standard_peak
from rnnpool.cost.stream import plan_rows
from rnnpool.errors import InputError
from rnnpool.graph import lower
from rnnpool.models import create_model
from rnnpool.surgery.suggest import suggest
from rnnpool.surgery.waists import graft, runs, waists

IMAGE = (3, 64, 64)


def on_meta(name: str) -> nn.Module:
    with torch.device("meta"):
        return create_model(name)


@pytest.mark.parametrize(
    ("name", "start", "stop"),
    [
        ("resnet18", "features.maxpool", "features.layer2"),
        ("googlenet", "features.maxpool1", "features.inception3b"),
        ("mobilenet_v2", "features.1", "features.4"),  # the paper also replaces 5 and 6, which do not set the peak
    ],
)
def test_it_proposes_what_the_paper_replaces(name: str, start: str, stop: str) -> None:
    suggestion = suggest(on_meta(name), (3, 224, 224))
    best = suggestion.proposals[0]
    assert (best.start, best.stop, best.fit.stride) == (start, stop, (4, 4))
    peaks = [proposal.figures.standard for proposal in suggestion.proposals]
    assert peaks == sorted(peaks)
    assert peaks[-1] < suggestion.now.standard
    sizes = [proposal.nodes for proposal in suggestion.proposals]
    assert sizes == sorted(sizes, reverse=True)
    if name != "googlenet":  # whose tail differs: it keeps 480 channels where the published network has 128
        assert best.figures.standard == standard_peak(on_meta(f"{name}-rnnpool"), (3, 224, 224), dtype="int8").peak


@pytest.mark.parametrize("plan", ["standard", "rows"])
@pytest.mark.parametrize("build", [Named, Functional, lambda: create_model("mobilenet_v1_025")])
def test_every_proposal_can_be_done_and_costs_what_it_says(build, plan: str) -> None:
    network = build().eval()
    suggestion = suggest(network, IMAGE, plan=plan)
    assert suggestion.now.parameters == sum(p.numel() for p in network.parameters())
    assert suggestion.proposals
    for proposal in suggestion.proposals:
        small = eval(proposal.call("network", IMAGE), {"rnnpool": rnnpool, "network": network})
        assert sum(p.numel() for p in small.parameters()) == proposal.figures.parameters
        assert count(small, IMAGE).madds.shared == proposal.figures.madds
        assert standard_peak(small, IMAGE, dtype="int8").peak == proposal.figures.standard
        assert plan_rows(small, IMAGE).peak == proposal.figures.rows
        assert getattr(proposal.figures, plan) < getattr(suggestion.now, plan)
        assert small(torch.zeros(1, *IMAGE)).shape == network(torch.zeros(1, *IMAGE)).shape


def test_a_waist_is_where_one_value_is_alive() -> None:
    """Checked by removing each node: the outputs can no longer be reached from the image through the others."""
    graph = lower(Named(), IMAGE)
    found = {graph.nodes[i] for i in waists(graph)}
    for node in graph.nodes:
        reached = {graph.image} - {node}
        for other in graph.nodes:
            if other is not node and any(source in reached for source in other.inputs):
                reached.add(other)
        assert (graph.outputs[0] not in reached or node is graph.outputs[0]) == (node in found), node.name


def test_grafting_a_runs_own_modules_changes_nothing() -> None:
    network = Named().eval()
    graph = lower(network, IMAGE)
    x = torch.randn(2, *IMAGE)
    tried = 0
    for run in runs(graph):
        if run.start != run.stop:
            continue
        same = graft(graph, run, lower(network.get_submodule(run.start), run.in_shape))
        torch.testing.assert_close(same.run(x), graph.run(x))
        assert len(same) == len(graph)
        tried += 1
    assert tried >= 3


def test_a_function_behind_a_run_stays() -> None:
    """F.relu in a forward has no name to end a run by; norm and activation that are modules belong to the run."""
    graph = lower(Functional(), IMAGE)
    pairs = {(run.start, run.stop): run for run in runs(graph)}
    run = pairs["a", "b"]
    assert run.end.kind == "conv"
    relus = [node for node in graph if node.kind == "activation"]
    left = [
        node for node in graft(graph, run, lower(nn.Conv2d(3, 16, 4, 4), run.in_shape)) if node.kind == "activation"
    ]
    assert len(left) == len(relus) - 1
    assert not any(stop == "conv1" for _, stop in ((r.start, r.stop) for r in runs(lower(Named(), IMAGE))))


def test_the_command_prints_a_program_that_runs(capsys, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "mynets.py").write_text(
        "from torch import nn\n\n\ndef build():\n    return nn.Sequential(\n"
        "        nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, 2, 1), nn.Conv2d(8, 12, 3, 2, 1), nn.Flatten(),\n    )\n"
    )
    monkeypatch.chdir(tmp_path)
    assert main(["suggest", "mynets:build", "--input", "3x64x64"]) == 0
    printed = capsys.readouterr().out
    assert "the peak (standard) is at" in printed.splitlines()[0]
    program = "\n".join(line.removeprefix("    ") for line in printed.split("in Python:\n")[1].splitlines())
    monkeypatch.syspath_prepend(str(tmp_path))
    names: dict[str, object] = {}
    exec(program, names)
    assert names["smaller"](torch.zeros(1, 3, 64, 64)).shape == (1, 12 * 8 * 8)
    assert main(["suggest", "mynets:build", "--input", "3x64x64", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["proposals"][0]["call"] in program.replace("\n", "")
    assert report["now"]["standard"] > report["proposals"][0]["figures"]["standard"]


def test_a_network_that_no_rnnpool_helps_is_told(capsys, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "flat.py").write_text("from torch import nn\n\n\ndef build():\n    return nn.Conv2d(3, 4, 3, 1, 1)\n")
    monkeypatch.chdir(tmp_path)
    assert main(["suggest", "flat:build", "--input", "3x16x16"]) == 0
    assert "No RNNPool" in capsys.readouterr().out


def test_wrong_options_are_named(capsys) -> None:
    with pytest.raises(InputError, match="plan is 'best'; it may be standard or rows"):
        suggest(Named(), IMAGE, plan="best")
    assert main(["suggest", "mlperf_vww", "--hidden", "0"]) == 2
    assert "--hidden is 0; it must be at least 1" in capsys.readouterr().err
    assert main(["suggest", "mlperf_vww", "--dtype", "int3"]) == 2
    assert "dtype is 'int3'" in capsys.readouterr().err


def test_behind_the_image_where_nothing_else_helps() -> None:
    """The first map sets the peak of this network, and no module begins behind it before the next one is computed."""

    class FunctionalPooling(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 32, 3, padding=1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.relu(self.second(torch.max_pool2d(torch.relu(self.first(x)), 2)))

    suggestion = suggest(FunctionalPooling(), IMAGE)
    (best,) = suggestion.proposals
    assert (best.start, best.stop) == ("first", "second")
    assert best.figures.standard < suggestion.now.standard
