"""Weights of a base network for what is left of it: parity with torchvision, what is taken, what is refused."""

from pathlib import Path

import pytest
import torch
import torchvision.models
from safetensors.torch import save_file
from torch import nn

from rnnpool.errors import InputError
from rnnpool.models import create_model, save_weights

BASES = ("mobilenet_v2", "efficientnet_b0", "resnet18", "densenet121", "googlenet")


def torchvision_network(name: str, seed: int = 0) -> nn.Module:
    """With random statistics and scales too, so that a batch norm in another place would show."""
    torch.manual_seed(seed)
    network = getattr(torchvision.models, name)(**({"init_weights": False} if name == "googlenet" else {}))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.uniform_(module.weight, 0.5, 1.5)
    return network.eval()


@pytest.mark.parametrize("name", BASES)
def test_the_base_with_torchvisions_weights_is_torchvisions_network(name: str) -> None:
    theirs = torchvision_network(name)
    ours = create_model(name, num_classes=1000, backbone_weights=theirs.state_dict()).eval()
    assert not ours.transfer.kept
    x = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        expected = theirs(x)
        torch.testing.assert_close(ours(x), expected)
    assert expected.std() > 1e-6


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("mobilenet_v2-rnnpool", {"features.rnnpool", "features.7", "classifier"}),
        ("efficientnet_b0-rnnpool", {"features.rnnpool", "features.4.0", "classifier"}),
        ("resnet18-rnnpool", {"features.rnnpool", "classifier"}),
        ("resnet18-strided", {"features.downsample", "classifier"}),
        ("densenet121-rnnpool", {"features.rnnpool", "features.transition2", "classifier"}),
        ("googlenet-rnnpool-last", {"features.rnnpool", "features.inception4a", "pool", "classifier"}),
    ],
)
def test_only_the_untouched_part_is_taken(name: str, kept: set[str]) -> None:
    base = name.split("-")[0]
    state = torchvision_network(base).state_dict()
    network = create_model(name, backbone_weights=state)
    assert set(network.transfer.kept) == kept
    same = 0
    for key, tensor in network.state_dict().items():
        if key.endswith("num_batches_tracked"):
            continue
        unit = next((unit for unit in (*kept, *network.transfer.taken) if key.startswith(f"{unit}.")), None)
        assert unit is not None, key
        if unit not in kept:
            source = key if key in state else key.removeprefix("features.")
            assert torch.equal(tensor, state[source]), key
            same += 1
    assert same == network.transfer.tensors


def test_all_poolings_replaced_leaves_every_convolution() -> None:
    state = torchvision_network("densenet121").state_dict()
    network = create_model("densenet121-allpool", num_classes=1000, backbone_weights=state)
    assert set(network.transfer.kept) == {
        "features.pool0",
        *(f"features.transition{i}.pool" for i in (1, 2, 3)),
        "pool",
    }
    assert network.transfer.parameters == sum(p.numel() for p in torchvision_network("densenet121").parameters())


def test_files_of_both_kinds_and_the_old_names_of_densenet(tmp_path: Path) -> None:
    state = torchvision_network("resnet18").state_dict()
    torch.save(state, tmp_path / "resnet.pth")
    save_file(state, tmp_path / "resnet.safetensors")
    networks = [
        create_model("resnet18", backbone_weights=tmp_path / f"resnet.{kind}") for kind in ("pth", "safetensors")
    ]
    for network in networks:
        assert torch.equal(network.features.conv1.weight, state["conv1.weight"])
        assert list(network.transfer.kept) == ["classifier"]
        assert "11,176,512 parameters" in str(network.transfer)
    dense = torchvision_network("densenet121").state_dict()
    old = {key.replace(".norm1.", ".norm.1.").replace(".conv2.", ".conv.2."): tensor for key, tensor in dense.items()}
    assert old.keys() != dense.keys()
    assert not create_model("densenet121", num_classes=1000, backbone_weights=old).transfer.kept


def test_a_base_trained_here_serves_as_well(tmp_path: Path) -> None:
    base = create_model("mobilenet_v1_025")
    save_weights(base, tmp_path / "base.safetensors")
    network = create_model("mobilenet_v1_025-rnnpool", backbone_weights=tmp_path / "base.safetensors")
    assert set(network.transfer.kept) == {"features.rnnpool", "features.5"}  # 64 channels came in, now 16
    assert torch.equal(network.features[3][1][0].weight, base.features[6][1][0].weight)
    assert torch.equal(network.classifier.weight, base.classifier.weight)


def test_what_cannot_be_taken_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.pth").write_bytes(b"PK\x03\x04 no zip")
    (tmp_path / "broken.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{")
    torch.save([1, 2], tmp_path / "list.pth")
    cases = {
        str(tmp_path / "none.pth"): "no such weights file",
        str(tmp_path / "broken.pth"): "not a file of tensors",
        str(tmp_path / "broken.safetensors"): "not a whole safetensors file",
        str(tmp_path / "list.pth"): "expected a state dict",
        "IMAGENET1K_V9": "one of IMAGENET1K_V1",
    }
    for weights, message in cases.items():
        with pytest.raises(InputError, match=message):
            create_model("resnet18", backbone_weights=weights)
    with pytest.raises(InputError, match="torchvision does not have this network"):
        create_model("mobilenet_v1_025", backbone_weights="IMAGENET1K_V1")
    with pytest.raises(InputError, match="no block fits"):
        create_model("mobilenet_v1_025", backbone_weights=torchvision_network("resnet18").state_dict())


def test_a_download_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*args: object, **kwargs: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", offline)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    with pytest.raises(InputError, match=r"cannot download .*resnet18.*no route to host"):
        create_model("resnet18", backbone_weights="IMAGENET1K_V1")
