"""What the paper prints for these networks: Saha et al., NeurIPS 2020, tables 1, 2, 3 and 18, from rnnpool.md.

Multiply-adds follow the paper's own count (half of full counting an RNNPool's patch, times the padded outputs).
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """Parameters and multiply-adds in millions, and the table they stand in; None where the paper prints none.

    ``digits`` is how many digits behind the point are printed of each: 2.83G multiply-adds are 2830 and -1.
    """

    table: str
    parameters: float | None
    madds: float | None
    digits: tuple[int, int]


def _variants(name: str, digits: tuple[int, int], rows: list[tuple[float, float]]) -> dict[str, Published]:
    """Table 1's rows in its order: parameters, multiply-adds."""
    endings = ("", "-last", "-avg", "-max", "-strided", "-renet", "-rnnpool", "-rnnpool-last")
    return {name + ending: Published("1", *row, digits) for ending, row in zip(endings, rows, strict=True)}


PUBLISHED = {
    **_variants(
        "mobilenet_v2",
        (1, 0),
        [(2.2, 300), (2.9, 334), (2.0, 200), (2.0, 200), (2.1, 258), (2.3, 296), (2.0, 226), (2.7, 260)],
    ),
    **_variants(
        "densenet121",
        (2, -1),
        [(6.96, 2830), (7.41, 3050), (5.59, 710), (5.59, 710), (6.38, 1330), (6.41, 1350), (5.60, 1040), (6.06, 1260)],
    ),
    **_variants(
        "mobilenet_v2_035",
        (3, 1),
        [
            (0.296, 53.2),
            (0.300, 53.4),
            (0.255, 31.9),
            (0.255, 31.9),
            (0.264, 39.2),
            (0.277, 46.4),
            (0.255, 37.7),
            (0.259, 37.9),
        ],
    ),
    "efficientnet_b0-rnnpool": Published("2", 3.90, 330, (2, -1)),
    "resnet18-rnnpool": Published("2", 10.6, 950, (1, -1)),
    "googlenet-rnnpool": Published("2", 9.35, 810, (2, -1)),
    "mobilenet_v1-rnnpool": Published("3", 4.118, 417, (3, 0)),
    "mobilenet_v2-rnnpool-gru": Published("18", None, 246, (0, 0)),
    "mobilenet_v2-rnnpool-lstm": Published("18", None, 266, (0, 0)),
}

# Why ours differs, by the beginning of the names it holds for; the first that fits is the reason.
REASONS = {
    "mobilenet_v2-last": "the paper's last RNNPool adds 34M, its formula for one 7 x 7 patch 28M",
    "mobilenet_v2-rnnpool-gru": "the paper adds 20M to FastGRNN's count; a GRU has three times its products: 53M",
    "mobilenet_v2-rnnpool-lstm": "the paper adds 40M to FastGRNN's count; an LSTM has four times its products: 80M",
    "mobilenet_v2_035-last": "the paper adds 4K; an RNNPool with h = l / 4 = 80 over 320 channels has 45K",
    "mobilenet_v2_035-rnnpool-last": "the paper adds 4K; an RNNPool with h = l / 4 = 80 over 320 channels has 45K",
    "mobilenet_v2_035": "width 0.35 rounded to eights as torchvision does; no rounding gives the paper's count",
    "mobilenet_v2-avg": "the paper's is as if the first block's expansion ran at 14 x 14 and the 1x1 here cost nothing",
    "mobilenet_v2-max": "the paper's is as if the first block's expansion ran at 14 x 14 and the 1x1 here cost nothing",
    "mobilenet_v2": "the paper's is as if the first block's expansion ran at 14 x 14 (14.5M less); parameters: unknown",
    "densenet121-rnnpool-last": "equal by chance: the row without the last RNNPool differs, and what that adds",
    "densenet121-last": "the paper's last RNNPool adds 220M, its formula for one 7 x 7 patch 18M",
    "densenet121-avg": "the paper's is as if the dense layers' 3x3 convolutions (202M) and the 1x1 here cost nothing",
    "densenet121-max": "the paper's is as if the dense layers' 3x3 convolutions (202M) and the 1x1 here cost nothing",
    "densenet121": "the paper's is as if the dense layers' 3x3 convolutions cost nothing (202M); its base has them",
    "efficientnet_b0-rnnpool": "torchvision's blocks, counted literally; why the paper differs is not known",
    "resnet18-rnnpool": "RNNPool's 180M by the paper's own rule; its 0.95G leaves 10M beside the 940M of the rest",
    "googlenet-rnnpool": "without auxiliary classifiers: torchvision's two would make it 9.23M; multiply-adds: unknown",
}

AGREE_BY_CHANCE = frozenset({"densenet121-rnnpool-last"})


def reason(name: str) -> str:
    """Why our count of a network differs from the paper's; "" if no reason is known."""
    return next((text for start, text in REASONS.items() if name.startswith(start)), "")
