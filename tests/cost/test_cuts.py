"""The order of work: late steps make the same rows in an order that their inputs allow, and need less memory."""

from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from rnnpool.cost.cuts import best_order, phase_peak
from rnnpool.cost.precision import precision
from rnnpool.cost.rowsim import RowRun, run_rows
from rnnpool.cost.steps import Step, build_steps
from rnnpool.graph import lower

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
