"""Networks that a user could have written, small."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Residual(nn.Module):
    """x + conv(x), a shortcut from outside its convolutions."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(c, c, 3, padding=1), nn.Conv2d(c, c, 3, padding=1)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(x + self.second(self.relu(self.first(x))))


class Named(nn.Module):
    """Named attributes called one after another, as torchvision's ResNet has them; one activation called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1, self.relu = nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU()
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.block1 = nn.Sequential(Residual(8), nn.Conv2d(8, 12, 3, 2, 1))
        self.block2 = nn.Sequential(nn.Conv2d(12, 16, 3, 1, 1), Residual(16))
        self.gap, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.relu(self.bn1(self.conv1(x))))
        x = self.relu(self.block2(self.block1(x)))
        return self.fc(self.gap(x).flatten(1))


class Functional(nn.Module):
    """Functions and a free parameter between its modules."""

    def __init__(self, *, dropout: bool = False) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 16, 3, 2, 1)
        self.c, self.fc = nn.Conv2d(16, 24, 3, 2, 1), nn.Linear(24, 5)
        self.scale = nn.Parameter(torch.ones(16, 1, 1))
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.a(x))
        x = F.relu(self.b(x)) * self.scale
        x = F.relu(self.c(x)).mean((2, 3))
        if self.dropout:
            x = F.dropout(x, 0.5, self.training)
        return self.fc(x)


class Tapped(nn.Module):
    """The middle of its sequence is read twice; the sequence itself is never called."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(*(nn.Conv2d(4 if i else 3, 4, 3, 2 if i in (1, 3) else 1, 1) for i in range(5)))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        middle = self.features[:3](x)
        return {"middle": middle, "last": self.features[3:](middle)}


class Deciding(nn.Module):
    """Its forward depends on a shape, which torch.fx cannot follow; its sequence is a plain one."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU())
        self.last = nn.Conv2d(8, 4, 3, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        return self.last(x) if x.shape[2] > 2 else x
