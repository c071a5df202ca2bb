"""Schedule, average, order of samples, checkpoints: the pieces that make a resumed run exact."""

import itertools
import math
import resource

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from rnnpool.errors import InputError
from rnnpool.train.checkpoint import LAST, PREVIOUS, load_checkpoint, load_latest, save_checkpoint
from rnnpool.train.ema import EMA
from rnnpool.train.metrics_log import MetricsLog
from rnnpool.train.optimizers import parameter_groups
from rnnpool.train.schedule import learning_rate_factor
from rnnpool.train.stream import StreamSampler, mix_seed
from rnnpool.train.task import Plan


def plan(first, last, batch_size, rank=0, world=1, seed=3):
    return Plan(first, last, batch_size, rank, world, seed, 0, torch.device("cpu"))


def test_learning_rate():
    factors = [learning_rate_factor(step, 100, 0.1, 0.05) for step in range(100)]
    assert factors[:10] == pytest.approx([0.1 * k for k in range(1, 11)])
    assert factors[10] == 1.0
    assert factors[55] == pytest.approx(0.05 + 0.95 / 2)  # halfway down the cosine
    assert all(a > b for a, b in itertools.pairwise(factors[10:]))
    assert factors[-1] == pytest.approx(0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * 89 / 90)))


def test_average_by_hand():
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
    with torch.no_grad():
        model[0].weight.fill_(0.0)
    ema = EMA(model, 0.5)
    expected = 0.0
    for step, value in enumerate([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0]):
        with torch.no_grad():
            model[0].weight.fill_(value)
            model[1].running_mean.fill_(value)
            model[1].num_batches_tracked.add_(1)
        ema.update(step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
    assert ema.module[0].weight.item() == pytest.approx(expected)
    assert ema.module[1].running_mean.item() == pytest.approx(expected)
    assert ema.module[1].num_batches_tracked.item() == 10
    assert not ema.module.training


def test_only_matrices_decay():
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1, groups=3))
    decayed, plain = parameter_groups(model, 0.1)
    assert [tuple(p.shape) for p in decayed["params"]] == [(3, 2, 3, 3)]
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.1, 0.0)
    # A depthwise 1x1 kernel is a scale a channel.
    assert (3, 1, 1, 1) in [tuple(p.shape) for p in plain["params"]]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 6), st.integers(1, 3), st.integers(0, 30))
def test_the_stream_can_be_entered_anywhere(length, per_process, world, first):
    """All processes together see every sample once an epoch, in an order that only the seed decides."""
    batch = per_process * world
    steps = 2 * length + first
    whole = list(StreamSampler(length, plan(0, steps, batch)))
    assert list(StreamSampler(length, plan(first, steps, batch))) == whole[first:]

    shares = [list(StreamSampler(length, plan(0, steps, batch, rank, world))) for rank in range(world)]
    for step, pairs in enumerate(whole):
        assert sorted(pair for share in shares for pair in share[step]) == sorted(pairs)
    seen = [pair for pairs in whole for pair in pairs]
    for epoch in range(steps * batch // length):
        assert sorted(seen[epoch * length : (epoch + 1) * length]) == [(epoch, i) for i in range(length)]


def test_epochs_differ_and_seeds_differ():
    def order(seed, epoch):
        pairs = itertools.chain.from_iterable(StreamSampler(50, plan(0, 20, 10, seed=seed)))
        return [index for e, index in pairs if e == epoch]

    assert order(3, 0) != order(3, 1)
    assert order(3, 0) != order(4, 0)


def test_impossible_streams():
    with pytest.raises(InputError, match="0 samples"):
        StreamSampler(0, plan(0, 1, 1))
    with pytest.raises(InputError, match="batch_size 5 .* multiple of their number, 2"):
        StreamSampler(9, plan(0, 1, 5, world=2))
    with pytest.raises(InputError, match="a seed is -1"):
        mix_seed(-1, 0)


def test_checkpoints_keep_the_one_before(tmp_path):
    for step in (1, 2):
        save_checkpoint(tmp_path, {"step": step, "model": {"w": torch.full((3,), float(step))}})
    assert load_checkpoint(tmp_path / PREVIOUS)["step"] == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == [LAST, PREVIOUS]
    path, state = load_latest(tmp_path)
    assert path.name == LAST
    assert torch.equal(state["model"]["w"], torch.full((3,), 2.0))


@pytest.mark.parametrize("damage", ["truncated", "empty", "foreign", "a wrong byte in a tensor"])
def test_a_damaged_checkpoint_is_named_and_the_older_one_used(tmp_path, capsys, damage):
    for step in (1, 2):
        save_checkpoint(tmp_path, {"step": step, "w": torch.zeros(1000)})
    last = tmp_path / LAST
    whole = last.read_bytes()
    damaged = {"truncated": whole[: len(whole) // 2], "empty": b"", "foreign": b"not a checkpoint"}
    middle = whole.index(bytes(1000))
    last.write_bytes(damaged.get(damage, whole[:middle] + b"\1" + whole[middle + 1 :]))
    with pytest.raises(InputError, match=r"last\.ckpt.*damaged"):
        load_checkpoint(last)
    path, state = load_latest(tmp_path)
    assert (path.name, state["step"]) == (PREVIOUS, 1)
    assert "last.ckpt" in capsys.readouterr().err
    (tmp_path / PREVIOUS).write_bytes(b"")
    with pytest.raises(InputError, match=r"last\.ckpt.*previous\.ckpt"):
        load_latest(tmp_path)


def test_nothing_there(tmp_path):
    assert load_latest(tmp_path) is None


def test_a_failed_write_leaves_the_checkpoint(tmp_path):
    save_checkpoint(tmp_path, {"step": 1})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, limits[1]))
    try:
        with pytest.raises(OSError, match=r"File too large: '.*last\.ckpt'"):
            save_checkpoint(tmp_path, {"step": 2, "w": torch.zeros(5000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert load_latest(tmp_path)[1]["step"] == 1
    assert [p.name for p in tmp_path.iterdir()] == [LAST]


def test_a_log_on_a_full_disk_names_its_folder(tmp_path):
    (tmp_path / "metrics.jsonl").symlink_to("/dev/full")
    log = MetricsLog(tmp_path, 0)
    for act in (lambda: log.write("train", 1, {"loss": 1.0}), log.close):
        with pytest.raises(OSError, match=f"No space left on device: '{tmp_path}'"):
            act()
