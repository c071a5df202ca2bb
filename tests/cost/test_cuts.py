"""The order of work against its slow twin; late steps make the same rows in an order that their inputs allow, and need
less memory; what the search for cuts leaves out."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from rnnpool.cost import cuts
from rnnpool.cost.cuts import best_order, phase_peak
from rnnpool.cost.precision import precision
from rnnpool.cost.rowsim import RowRun, run_rows
from rnnpool.cost.steps import Step, build_steps
from rnnpool.graph import lower
from rnnpool.models import create_model, model_info

INT8 = precision("int8")


def steps_of(layers: list[tuple[int, int, int]], height: int) -> list[Step]:
    """A chain of convolutions: output channels, kernel, stride."""
    chain, channels = [], 2
    for out, kernel, stride in layers:
        chain.append(nn.Conv2d(channels, out, kernel, stride, kernel // 2))
        channels = out
    return build_steps(lower(nn.Sequential(*chain), (2, height, 6)))


def check(steps: list[Step], run: RowRun) -> None:
    """Every row is made once, from rows that exist."""
    made = dict.fromkeys(steps, 0)
    begin = 0
    for end in run.arrivals:
        made[steps[0]] += 1
        for step, act in run.acts[begin:end]:
            assert act == made[step]
            assert all(read.last[act] < made[read.source] for read in step.reads)
            made[step] += 1
        begin = end
    assert made == {step: step.rows for step in steps}


def slow_acts(steps: list[Step]) -> list[tuple[Step, int]]:
    """The slow twin without late steps: after each arriving row, again and again the deepest step that can act."""
    made, acted = dict.fromkeys(steps, 0), dict.fromkeys(steps, 0)
    acts: list[tuple[Step, int]] = []

    def act(step: Step) -> bool:
        if step.takes and made[step] < step.rows and step.after[made[step]] < acted[step]:
            acts.append((step, step.takes + made[step]))
            made[step] += 1
            return True
        number = acted[step]
        if number == (step.takes or step.rows) or any(read.last[number] >= made[read.source] for read in step.reads):
            return False
        acts.append((step, number))
        acted[step] += 1
        made[step] += not step.takes
        return True

    for _ in range(steps[0].rows):
        made[steps[0]] += 1
        while any(act(step) for step in reversed(steps[1:])):
            pass
    return acts


@pytest.mark.parametrize(
    ("name", "size"), [("face-tiny", 48), ("googlenet-rnnpool", 64), ("densenet121-avg", 64), ("efficientnet_b0", 32)]
)
def test_the_deepest_step_that_can_acts(name: str, size: int) -> None:
    shape = (model_info(name).input_size or (3,))[0], size, size
    steps = build_steps(lower(create_model(name), shape))
    assert run_rows(steps, 1, len(steps)).acts == slow_acts(steps)


@pytest.mark.parametrize("name", ["mobilenet_v2", "googlenet", "face-qvga-mono"])
def test_hopeless_cuts_are_not_played_and_change_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shape = (model_info(name).input_size or (3,))[0], 96, 96
    steps = build_steps(lower(create_model(name), shape))
    found = best_order(steps, INT8)
    cost = cuts._Search.cost
    monkeypatch.setattr(cuts, "PLAYED", 10**9)
    monkeypatch.setattr(cuts._Search, "cost", lambda self, tried, better_than=None: cost(self, tried))
    assert best_order(steps, INT8) == found


def test_what_leads_to_an_output_alone_comes_as_soon_as_it_can() -> None:
    """Predictors, behind everything else in the network: otherwise whole maps wait for them at each cut."""
    steps = build_steps(lower(create_model("face-qvga-mono"), (1, 240, 320)))
    place = {step.name: step.index for step in steps}
    for name, index in place.items():
        if name.startswith("predictors.") and name.endswith(".1"):
            (source,) = {read.source for read in steps[index - 1].reads}
            others = [reader.index for reader in source.readers if not reader.name.startswith("predictors")]
            assert source.index < index < min([*others, len(steps)])


LAYERS = st.lists(
    st.tuples(st.integers(1, 5), st.sampled_from([1, 2, 3]), st.sampled_from([1, 2])), min_size=1, max_size=4
)


@settings(max_examples=40, deadline=None)
@given(LAYERS, st.integers(9, 16), st.data())
def test_late_steps_make_the_same_rows(layers: list[tuple[int, int, int]], height: int, data: st.DataObject) -> None:
    steps = steps_of(layers, height)
    late = data.draw(st.sets(st.integers(1, len(steps) - 1)))
    check(steps, run_rows(steps, 1, len(steps), late=late))


def test_an_expansion_waits_for_its_reader_of_stride_two() -> None:
    """Of 20 channels two rows wait for a third, or none: then three are made at once, as large as the two and one."""
    steps = steps_of([(90, 3, 1), (2, 3, 1), (20, 1, 1), (2, 3, 2)], 40)
    expansion = steps[3]
    eager = run_rows(steps, 1, len(steps)).occupancy[expansion]
    late = run_rows(steps, 1, len(steps), late={expansion.index}).occupancy[expansion]
    assert (eager.peak, eager.rest) == (3, 2)
    assert (late.peak, late.rest) == (3, 1)
    at_work = [phase_peak(steps, 1, len(steps), INT8, late=held) for held in ((), {expansion.index})]
    assert (
        at_work[0] - at_work[1] == 20 * 6 - 2 * 6
    )  # while the wide layer works, one row less waits and one of its input more
    assert best_order(steps, INT8) == ([], {expansion.index})
