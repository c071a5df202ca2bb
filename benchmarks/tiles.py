"""Time of the Triton sweeps for several tiles (sequences and warps of a program): what ``cuda._tile`` rests on.

The sweeps of RNN1 over the benchmark's maps at batch 32, in both orders of memory. Kernels are compiled by a process
each beforehand. Registers and spills are those of the backward kernel.

    python benchmarks/tiles.py
"""

import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import torch
from torch import Tensor
from triton.testing import do_bench

from rnnpool.nn import cuda

SITES = {  # name: state size, height, width, kernel, stride
    "face-quant": (8, 240, 320, 8, 4),
    "mobilenetv2": (16, 112, 112, 6, 4),
    "face-m4": (16, 120, 160, 8, 4),
    "densenet121": (48, 112, 112, 8, 4),
}
TILES = {  # units: (sequences, warps)
    8: [(32, 1), (64, 2), (64, 4), (128, 4), (256, 8)],
    16: [(16, 1), (32, 1), (32, 2), (32, 4), (64, 4), (128, 4)],
    64: [(16, 2), (16, 4), (32, 4), (32, 8)],
}


def passes(name: str, block: int, warps: int, batch: int, transposed: bool) -> tuple[Callable, Callable]:
    """The forward and the backward sweep of a site, as functions without arguments."""
    h, height, width, kernel, stride = SITES[name]
    units = 1 << (h - 1).bit_length()
    cuda._tile = lambda h: (block, warps, units)
    p = torch.randn(batch, h, height, width, device="cuda")
    p = p.transpose(2, 3) if transposed else p
    parameters = [
        torch.randn(h, h, device="cuda") / h,
        *torch.randn(2, h, device="cuda"),
        *torch.ones(2, device="cuda"),
    ]

    def forward() -> Tensor:
        y = cuda.forward(p, parameters, kernel, stride, 1, "smooth")
        assert y is not None, cuda.status()
        return y

    dy = torch.randn_like(forward())

    def backward() -> None:
        assert cuda.backward(p, parameters, dy, kernel, stride, "smooth") is not None, cuda.status()

    return forward, backward


def compiled(name: str, block: int, warps: int) -> str:
    """Registers, spills and the seconds that both kernels took to compile, or why there are none."""
    start = time.perf_counter()
    try:
        for run in passes(name, block, warps, 1, False):
            run()
    except AssertionError as error:
        return str(error)
    kernels, _ = cuda._kernels()
    assert kernels is not None
    (kernel,) = kernels.backward.device_caches[0][0].values()
    return f"{kernel.n_regs} registers, {kernel.n_spills} spills, compiled in {time.perf_counter() - start:.0f} s"


def main() -> None:
    jobs = [(name, *tile) for name, site in SITES.items() for tile in TILES[1 << (site[0] - 1).bit_length()]]
    with ProcessPoolExecutor(8, get_context("spawn"), max_tasks_per_child=1) as pool:
        built = list(pool.map(compiled, *zip(*jobs, strict=True)))
    print(f"{torch.cuda.get_device_name()}; {cuda.status()}; milliseconds, batch 32, lines adjacent | windows adjacent")
    for (name, block, warps), what in zip(jobs, built, strict=True):
        times = ""
        for transposed in (False, True) if "compiled in" in what else ():
            runs = passes(name, block, warps, 32, transposed)
            found = [do_bench(run, warmup=5, rep=30, return_mode="median") for run in runs]
            times += "forward {:6.3f} backward {:6.3f} | ".format(*found)
        print(f"{name:12s} {block:4d} sequences {warps} warps: {times}{what}", flush=True)


if __name__ == "__main__":
    main()
