"""Time and peak memory of RNNPool2d beside other ways to pool the same map, in one run.

Rows: ours in kernels (C++ on the CPU, Triton on CUDA) and in torch operators; the definition patch by patch, batched
over all patches (unfold, then plain torch operators: what the reference code does); the same with torch.nn.GRU as the
cell; a strided convolution to as many channels; max pooling. Every form of RNNPool is first checked to give the same
numbers.

Time: each form in turn, round after round, in one process, so that a busy machine slows all alike; the least of the
rounds counts. ``--clock cpu`` takes the processor time of the process instead of the wall's, for one thread on a
machine that others use. "train" is forward and backward, gradients of the input included.
Memory: a child process each, which gives freed blocks back at once; the highest resident size during the call less that
before it (Linux). It is what the call adds: the input is there already, the output and the gradients count.
On CUDA one process does everything: time between two events around a call, memory by the allocator's own account.

    python benchmarks/operator.py                        all four sites, batch 1 and 32, one thread
    python benchmarks/operator.py --threads 1 2          and with two
    python benchmarks/operator.py --site face-m4 --batch 32 --json out.json
    python benchmarks/operator.py --quick                a small site, for CI
    python benchmarks/operator.py --device cuda          on a GPU

Exit status 1 where ours on the CPU is not at least 2x (forward) and 2.5x (train) as fast at batch 32 as patch by patch,
in at most half of its training memory.
"""

import argparse
import ctypes
import json
import multiprocessing
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rnnpool.files import write_text
from rnnpool.memory import reuse_freed_memory
from rnnpool.nn import RNNPool2d, native


@dataclass(frozen=True)
class Site:
    """A place in a published network: a map of ``channels`` x ``height`` x ``width`` pooled to 4 * ``hidden``."""

    name: str
    channels: int
    height: int
    width: int
    kernel: int
    stride: int
    hidden: int

    def patches(self) -> int:
        return ((self.height - self.kernel) // self.stride + 1) * ((self.width - self.kernel) // self.stride + 1)

    def per_patch_training_bytes(self, batch: int, gates: int) -> int:
        """About what autograd keeps for all patches: the patches, and seven maps a step, of each gate, of RNN1."""
        window = self.kernel * self.kernel * (self.channels + 2 * 7 * gates * self.hidden)
        return 4 * batch * self.patches() * window


SITES = (
    Site("mobilenetv2", 32, 112, 112, 6, 4, 16),
    Site("face-quant", 4, 240, 320, 8, 4, 8),
    Site("face-m4", 4, 120, 160, 8, 4, 16),
    Site("densenet121", 64, 112, 112, 8, 4, 48),
)
QUICK = Site("quick", 4, 40, 48, 8, 4, 16)
REFERENCE = "patch by patch"


class PatchByPatch(nn.Module):
    """Algorithm 1 over all patches at once, sharing nothing between them; the weights of ``pool``."""

    def __init__(self, pool: RNNPool2d) -> None:
        super().__init__()
        self.pool = pool

    def last(self, rnn: nn.Module, sequence: Tensor) -> Tensor:
        """(steps, N, d) -> the last state (N, h)."""
        h = sequence.new_zeros(sequence.shape[1], rnn.hidden_size)
        for x in sequence:
            pre = F.linear(x, rnn.weight_input) + F.linear(h, rnn.weight_hidden)
            z = torch.sigmoid(pre + rnn.bias_gate)
            h = z * h + (1 - z) * torch.tanh(pre + rnn.bias_candidate)
        return h

    def forward(self, x: Tensor) -> Tensor:
        (k, _), (s, _), c = self.pool.kernel_size, self.pool.stride, self.pool.in_channels
        b, height, width = x.shape[0], (x.shape[2] - k) // s + 1, (x.shape[3] - k) // s + 1
        patches = F.unfold(x, k, stride=s).view(b, c, k, k, height * width)  # (B, C, row, column, patch)
        outputs = []
        for order in ((3, 2, 0, 4, 1), (2, 3, 0, 4, 1)):  # rows swept along columns, then columns along rows
            lines = patches.permute(order).reshape(k, k * b * height * width, c)
            summaries = self.last(self.pool.rnn1, lines).view(k, b * height * width, -1)
            outputs += [self.last(self.pool.rnn2, summaries), self.last(self.pool.rnn2, summaries.flip(0))]
        return torch.cat(outputs, dim=1).view(b, height, width, -1).permute(0, 3, 1, 2)


class PatchByPatchGRU(PatchByPatch):
    """The same with torch.nn.GRU, whose input projection is one product for all steps."""

    def __init__(self, pool: RNNPool2d) -> None:
        super().__init__(pool)
        self.grus = nn.ModuleDict(
            {name: nn.GRU(rnn.input_size, rnn.hidden_size) for name, rnn in pool.named_children()}
        )

    def last(self, rnn: nn.Module, sequence: Tensor) -> Tensor:
        name = "rnn1" if rnn is self.pool.rnn1 else "rnn2"
        return self.grus[name](sequence)[0][-1]


@dataclass
class Form:
    """One row of the table."""

    module: nn.Module
    context: Callable[[], Any] = nullcontext

    def run(self, x: Tensor, upstream: Tensor | None) -> Tensor:
        """Forward; with ``upstream`` backward too."""
        with self.context():
            if upstream is None:
                with torch.no_grad():
                    return self.module(x)
            y = self.module(x)
            torch.autograd.grad(
                y, [x, *(p for p in self.module.parameters() if p.requires_grad)], upstream, allow_unused=True
            )
            return y


def forms_of(site: Site, device: str = "cpu") -> dict[str, Form]:
    torch.manual_seed(0)
    pool = RNNPool2d(site.channels, site.hidden, site.hidden, site.kernel, site.stride).to(device)
    kernels = native.status(device).split(":")[0]
    forms = {} if kernels == "torch" else {f"ours, {kernels}": Form(pool)}
    return forms | {
        "ours, torch": Form(pool, native.disabled),
        REFERENCE: Form(PatchByPatch(pool)),
        "patches, nn.GRU": Form(PatchByPatchGRU(pool).to(device)),
        "strided convolution": Form(nn.Conv2d(site.channels, 4 * site.hidden, site.kernel, site.stride).to(device)),
        "max pooling": Form(nn.MaxPool2d(site.kernel, site.stride)),
    }


def inputs(site: Site, form: Form, batch: int, train: bool, device: str = "cpu") -> tuple[Tensor, Tensor | None]:
    x = torch.randn(batch, site.channels, site.height, site.width, requires_grad=train, device=device)
    return x, torch.ones_like(form.run(x[:1].detach(), None)).expand(batch, -1, -1, -1) if train else None


def check_equal(site: Site, device: str = "cpu") -> None:
    """All forms of RNNPool give the same numbers, to float32's 1e-5."""
    forms = forms_of(site, device)
    x = torch.randn(1, site.channels, site.height, site.width, device=device)
    usual, torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.allow_tf32, False  # tf32 has 11 bits
    expected = forms[REFERENCE].run(x, None)
    results = {name: form.run(x, None) for name, form in forms.items() if name.startswith("ours")}
    torch.backends.cudnn.allow_tf32 = usual
    for name, result in results.items():
        torch.testing.assert_close(result, expected, rtol=0, atol=1e-5, msg=f"{name} differs at {site}")


def times(
    site: Site, batch: int, threads: int, seconds: float, clock: str, skip: set[str]
) -> dict[str, dict[str, float]]:
    """Least milliseconds of each form, {form: {"forward": ..., "train": ...}}."""
    torch.set_num_threads(threads)
    reuse_freed_memory()
    check_equal(site)
    now = time.process_time if clock == "cpu" else time.perf_counter
    forms = {name: form for name, form in forms_of(site).items() if name not in skip}
    found: dict[str, dict[str, float]] = {name: {} for name in forms}
    for kind in ("forward", "train"):
        data = {name: inputs(site, form, batch, kind == "train") for name, form in forms.items()}
        spent = dict.fromkeys(forms, 0.0)
        for turn in range(50):
            for name, form in forms.items():
                if turn >= 2 and spent[name] > seconds:
                    continue
                start = now()
                form.run(*data[name])
                took = now() - start
                spent[name] += took
                found[name][kind] = min(found[name].get(kind, float("inf")), 1e3 * took)
    return found


def peak_bytes(site: Site, name: str, batch: int, train: bool) -> int | None:
    """Highest resident size of one call above that before it; None where the kernel does not tell."""
    torch.set_num_threads(1)
    clear, status = Path("/proc/self/clear_refs"), Path("/proc/self/status")
    if not clear.exists():
        return None
    libc = ctypes.CDLL(None)
    libc.mallopt(-3, 1 << 16)  # M_MMAP_THRESHOLD: blocks from 64 KiB on are given back when freed
    form = forms_of(site)[name]
    data = inputs(site, form, batch, train)
    form.run(data[0][:1], None if data[1] is None else data[1][:1])  # libraries loaded, caches filled
    libc.malloc_trim(0)
    clear.write_text("5")  # forget the highest size so far
    before = _status_bytes(status, "VmRSS")
    y = form.run(*data)
    peak = _status_bytes(status, "VmHWM")
    del y
    return peak - before


def _status_bytes(status: Path, field: str) -> int:
    line = next(line for line in status.read_text().splitlines() if line.startswith(field))
    return 1024 * int(line.split()[1])


def in_child(function: Callable[..., Any], *arguments: Any) -> Any:
    """The result of a call in a forked process, which starts from libraries loaded and nothing allocated."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=lambda: theirs.send(function(*arguments)))
    child.start()
    theirs.close()
    try:
        result = ours.recv()
    except EOFError:
        raise SystemExit(f"{function.__name__}{arguments} ended early: out of memory?") from None
    finally:
        child.join()
    return result


def available_bytes(device: str) -> float:
    if device == "cuda":
        return float(torch.cuda.mem_get_info()[0])
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return float("inf")
    return 1024.0 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))


def too_large(site: Site, batch: int, device: str) -> dict[str, str]:
    """Forms that would take more than half of the free memory, and how much that is."""
    needs = {
        REFERENCE: site.per_patch_training_bytes(batch, 1),
        "patches, nn.GRU": site.per_patch_training_bytes(batch, 3),
    }
    room = available_bytes(device) / 2
    return {name: f"needs about {n / 2**30:.0f} GiB" for name, n in needs.items() if n > room}


def measure_on_cuda(site: Site, batch: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """The same figures of a GPU; a rival that cannot run is skipped with its reason."""
    check_equal(site, "cuda")
    skipped = too_large(site, batch, "cuda") | dict.fromkeys(arguments.without, "--without")
    forms = {name: form for name, form in forms_of(site, "cuda").items() if name not in skipped}
    rows: dict[str, dict[str, Any]] = {name: {} for name in forms}
    for kind in ("forward", "train"):
        data = {}
        for name, form in forms.items():
            if name in skipped:
                continue
            try:
                data[name] = inputs(site, form, batch, kind == "train", "cuda")
                form.run(*data[name])  # compiles
                rows[name][f"{kind} memory"] = peak_bytes_on_cuda(form, data[name])
            except RuntimeError as error:
                if name.startswith("ours"):
                    raise
                skipped[name] = str(error).splitlines()[0]
                data.pop(name, None)
        spent = dict.fromkeys(data, 0.0)
        for turn in range(50):
            for name in data:
                if turn >= 2 and spent[name] > arguments.seconds:
                    continue
                took = milliseconds_on_cuda(forms[name], data[name])
                spent[name] += took / 1e3
                rows[name][kind] = min(rows[name].get(kind, float("inf")), took)
    rows = {name: row for name, row in rows.items() if name not in skipped}
    return {"site": site.name, "batch": batch, "device": torch.cuda.get_device_name(), "rows": rows, "skipped": skipped}


def peak_bytes_on_cuda(form: Form, data: tuple[Tensor, Tensor | None]) -> int:
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    y = form.run(*data)
    peak = torch.cuda.max_memory_allocated() - before
    del y
    return peak


def milliseconds_on_cuda(form: Form, data: tuple[Tensor, Tensor | None]) -> float:
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    form.run(*data)
    end.record()
    end.synchronize()
    return start.elapsed_time(end)


def measure(site: Site, batch: int, threads: int, arguments: argparse.Namespace) -> dict[str, Any]:
    skipped = too_large(site, batch, "cpu") | dict.fromkeys(arguments.without, "--without")
    rows = in_child(times, site, batch, threads, arguments.seconds, arguments.clock, set(skipped))
    for name, row in rows.items():
        for kind in ("forward", "train"):
            row[f"{kind} memory"] = in_child(peak_bytes, site, name, batch, kind == "train")
    return {"site": site.name, "batch": batch, "threads": threads, "rows": rows, "skipped": skipped}


def show(result: dict[str, Any]) -> None:
    rows = result["rows"]
    ours = next(iter(rows.values()))
    where = result["device"] if "device" in result else f"threads {result['threads']}"
    print(f"\n{result['site']}, batch {result['batch']}, {where}")
    heads = (("forward ms", 12), ("x ours", 8), ("train ms", 12), ("x ours", 8), ("fwd MiB", 10), ("train MiB", 10))
    print(" " * 20 + "".join(f"{head:>{width}}" for head, width in (*heads, ("x ours", 8))))
    for name, row in rows.items():
        line = f"{name:20s}"
        for kind in ("forward", "train"):
            line += f"{row[kind]:12.2f}{row[kind] / ours[kind]:8.2f}"
        for kind in ("forward memory", "train memory"):
            line += f"{row[kind] / 2**20:10.1f}" if row[kind] is not None else f"{'-':>10}"
        if row["train memory"] is not None:
            line += f"{row['train memory'] / max(1, ours['train memory']):8.2f}"
        print(line)
    for name, why in result["skipped"].items():
        print(f"{name:20s}skipped: {why}")


def shortfalls(results: list[dict[str, Any]]) -> list[str]:
    """Where ours misses what it promises at batch 32."""
    found = []
    for result in results:
        rows = result["rows"]
        if result["batch"] < 32 or REFERENCE not in rows:
            continue
        ours, theirs = next(iter(rows.values())), rows[REFERENCE]
        for kind, factor in (("forward", 2.0), ("train", 2.5), ("train memory", 2.0)):
            if theirs[kind] is not None and theirs[kind] < factor * ours[kind]:
                found.append(f"{result['site']}: {kind} is {theirs[kind] / ours[kind]:.2f}x, promised {factor}x")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--site", nargs="+", choices=[site.name for site in SITES], help="only these sites")
    parser.add_argument("--batch", nargs="+", type=int, default=[1, 32])
    parser.add_argument("--threads", nargs="+", type=int, default=[1])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--seconds", type=float, help="of rounds beyond the second, a form and a kind (0.5; cuda 0.1)")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--without", nargs="+", default=[], metavar="ROW", help="leave these rows out")
    parser.add_argument("--quick", action="store_true", help="a small site at batch 2")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    arguments = parser.parse_args()
    if arguments.clock == "cpu" and max(arguments.threads) > 1:
        parser.error("--clock cpu adds the threads' time up; it tells something for --threads 1 only")
    if arguments.seconds is None:
        arguments.seconds = 0.1 if arguments.device == "cuda" else 0.5
    sites = [site for site in SITES if not arguments.site or site.name in arguments.site]
    if arguments.quick:
        sites, arguments.batch = [QUICK], [2]
    clock = "events" if arguments.device == "cuda" else f"{arguments.clock} clock"
    print(f"FastGRNN sweeps: {native.status(arguments.device)}; torch {torch.__version__}; float32; {clock}")
    results = []
    for site in sites:
        for batch in arguments.batch:
            if arguments.device == "cuda":
                results.append(measure_on_cuda(site, batch, arguments))
                show(results[-1])
                continue
            for threads in arguments.threads:
                results.append(measure(site, batch, threads, arguments))
                show(results[-1])
    if arguments.json:
        write_text(arguments.json, json.dumps(results, indent=1))
    if arguments.device == "cuda":
        return 0
    missed = shortfalls(results)
    print("\n" + ("\n".join(missed) if missed else "nothing promised is missed"))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
