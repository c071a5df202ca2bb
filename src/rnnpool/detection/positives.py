"""What the sums of a detection loss are divided by."""

import torch
import torch.distributed as dist


def mean_positives(count: int, device: torch.device) -> float:
    """The batch's positives, at least 1; with several processes, the mean over theirs.

    Averaging the processes' gradients then gives the gradient of the global batch, though each has other positives.
    """
    if not (dist.is_available() and dist.is_initialized()):
        return max(1, count)
    total = torch.tensor(float(count), device=device)
    dist.all_reduce(total)
    return max(1.0, total.item()) / dist.get_world_size()
