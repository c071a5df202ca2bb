"""The convolutional building blocks of the networks: convolution + batch norm + activation, and what is made of it.

MBConv is the inverted residual of MobileNetV2 (Sandler et al. 2018, figure 3b). DepthwiseFirst puts the depthwise
convolution before the expansion, on the narrow side, as ConvNeXt (Liu et al. 2022, figure 3c) and the "ConvNext"
variant of MobileNetV4's universal block (Qin et al. 2024, section 3) do. Streamed by rows, a 3x3 keeps two rows of its
input beside the one that arrives. Here these rows are the block's own input, which the residual needs anyway: 2 rows
of c channels, where MBConv keeps 2 rows of its expansion and one of its input, and fewer depthwise multiply-adds.
"""

from torch import Tensor, nn

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "relu6": nn.ReLU6, "silu": nn.SiLU}


class ConvNormAct(nn.Sequential):
    """Convolution without bias ("same" padding for odd kernels), batch norm, and an activation unless it is None.

    (B, c_in, H, W) -> (B, c_out, ceil(H / stride), ceil(W / stride))
    """

    def __init__(
        self, c_in: int, c_out: int, kernel: int = 3, stride: int = 1, *, groups: int = 1, act: str | None = "relu"
    ) -> None:
        layers: list[nn.Module] = [
            nn.Conv2d(c_in, c_out, kernel, stride, padding=kernel // 2, groups=groups, bias=False),
            nn.BatchNorm2d(c_out),
        ]
        if act is not None:
            layers.append(ACTIVATIONS[act]())
        super().__init__(*layers)


class Separable(nn.Sequential):
    """Depthwise 3x3 and 1x1 convolution, each with batch norm and activation (MobileNet, Howard et al. 2017)."""

    def __init__(self, c_in: int, c_out: int, stride: int = 1, *, act: str = "relu") -> None:
        super().__init__(
            ConvNormAct(c_in, c_in, 3, stride, groups=c_in, act=act),
            ConvNormAct(c_in, c_out, 1, act=act),
        )


class _MaybeResidual(nn.Module):
    """x + body(x) where shapes allow it: stride 1 and as many channels out as in; body(x) elsewhere."""

    def __init__(self, body: nn.Module, *, residual: bool) -> None:
        super().__init__()
        self.body = body
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) if self.residual else self.body(x)


class MBConv(_MaybeResidual):
    """1x1 to ``expanded`` channels, depthwise 3x3, linear 1x1 to ``c_out``. No expansion if it would not expand."""

    def __init__(self, c_in: int, expanded: int, c_out: int, stride: int = 1, *, act: str = "relu") -> None:
        expand = [ConvNormAct(c_in, expanded, 1, act=act)] if expanded != c_in else []
        body = nn.Sequential(
            *expand,
            ConvNormAct(expanded, expanded, 3, stride, groups=expanded, act=act),
            ConvNormAct(expanded, c_out, 1, act=None),
        )
        super().__init__(body, residual=stride == 1 and c_in == c_out)


class DepthwiseFirst(_MaybeResidual):
    """Linear depthwise 3x3, 1x1 to ``expanded`` channels with activation, linear 1x1 to ``c_out``."""

    def __init__(self, c_in: int, expanded: int, c_out: int, stride: int = 1, *, act: str = "relu") -> None:
        body = nn.Sequential(
            ConvNormAct(c_in, c_in, 3, stride, groups=c_in, act=None),
            ConvNormAct(c_in, expanded, 1, act=act),
            ConvNormAct(expanded, c_out, 1, act=None),
        )
        super().__init__(body, residual=stride == 1 and c_in == c_out)


def init_convolutions(model: nn.Module) -> None:
    """He initialisation (fan out) of every convolution and zero biases, as torchvision's MobileNets do."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and not module.weight.is_meta:  # drawing no numbers takes torch longest of all
            nn.init.kaiming_normal_(module.weight, mode="fan_out")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
