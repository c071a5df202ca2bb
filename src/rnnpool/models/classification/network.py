"""The one classifier: features in sequence, a pooling to 1 x 1, a linear layer."""

import torch
from torch import Tensor, fx, nn

from rnnpool.errors import InputError
from rnnpool.models.classification.backbone import Transfer


class Classifier(nn.Module):
    """Scores of an image's classes.

    Args:
        features: (B, in_channels, H, W) -> (B, C, h, w).
        pool: (B, C, h, w) -> (B, C, 1, 1).
        width: C.
        input_size: (H, W) it is meant for; a limit where ``fixed_size``, else only a default.
        fixed_size: the pooling was made for one size of its input (RNNPool as the last pooling).
        dropout: probability, before the linear layer.

    ``transfer`` says what was taken from a base network's trained weights, None if none were asked for.
    """

    transfer: Transfer | None

    def __init__(
        self,
        features: nn.Sequential,
        pool: nn.Module,
        width: int,
        *,
        num_classes: int,
        in_channels: int,
        input_size: tuple[int, int],
        fixed_size: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.features = features
        self.pool = pool
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(width, num_classes)
        self.transfer = None
        self.in_channels, self.input_size, self.fixed_size = in_channels, input_size, fixed_size

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, num_classes) logits; InputError for another shape."""
        if not isinstance(x, fx.Proxy):  # a symbolic trace has no shapes to check
            self._check(x)
        x = self.features(x)  # (B, C, h, w)
        x = torch.flatten(self.pool(x), 1)  # (B, C)
        return self.classifier(self.dropout(x))

    def _check(self, x: Tensor) -> None:
        wanted = f"(B, {self.in_channels}, {', '.join(map(str, self.input_size)) if self.fixed_size else 'H, W'})"
        if x.dim() != 4 or x.shape[1] != self.in_channels:
            raise InputError(f"input has shape {tuple(x.shape)}; expected {wanted}")
        if self.fixed_size and tuple(x.shape[2:]) != self.input_size:
            raise InputError(
                f"input has shape {tuple(x.shape)}; expected {wanted}, because the last pooling is an RNNPool over "
                f"the whole map; create_model(..., input_size={tuple(x.shape[2:])}) makes the network for this size"
            )
