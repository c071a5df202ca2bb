"""The simulator: batches, sizes, intermediates, and images that it refuses; files of networks."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from small_nets import NETS, converted, images_of

from rnnpool.errors import InputError
from rnnpool.integer.network import flash_bytes, simulate
from rnnpool.integer.storage import FORMAT, load_network, save_network


def test_a_batch_is_its_images_one_by_one() -> None:
    network = converted("pyramid").network
    images = np.stack(images_of((1, 38, 50), 3, seed=4))
    together = simulate(network, images)
    assert list(together) == ["fine", "coarse"]
    for i, image in enumerate(images):
        for value, alone in zip(together.values(), network.run(image), strict=True):
            np.testing.assert_array_equal(value[i], alone)


def test_every_intermediate_on_request() -> None:
    network = converted("classifier").network
    images = np.stack(images_of((3, 32, 24), 2))
    names = [node.name for node in network.nodes]
    kept = simulate(network, images, names)
    assert list(kept) == names
    np.testing.assert_array_equal(kept["image"], images)
    for number, node in enumerate(network.nodes):
        assert kept[node.name].shape == (2, *node.shape)
        if node.inputs:  # what is kept of a node is what its inputs give
            again = node.run(*(kept[network.nodes[source].name][1] for source in node.inputs))
            np.testing.assert_array_equal(kept[node.name][1], again)
        assert all(source < number for source in node.inputs)
    with pytest.raises(InputError, match=r"no node 'nothing'; it has .*features"):
        simulate(network, images, ["nothing"])


def test_networks_of_convolutions_take_other_sizes() -> None:
    network = converted("pyramid").network
    fine, coarse = network.run(np.full((1, 71, 44), 90, np.uint8))
    assert fine.shape[0] == coarse.shape[0] == 5
    assert fine.shape[1:] == (18, 11)
    assert coarse.shape[1:] == (9, 6)


@pytest.mark.parametrize(
    ("name", "image", "what"),
    [
        ("pyramid", np.zeros((1, 38, 50), np.int8), "image is int8"),
        ("pyramid", np.zeros((3, 38, 50), np.uint8), r"takes uint8 \(1, H, W\), such as \(1, 38, 50\)"),
        ("pyramid", np.zeros((38, 50), np.uint8), "takes uint8"),
        ("classifier", np.zeros((3, 32, 32), np.uint8), r"takes \(3, 32, 24\) only"),
    ],
)
def test_images_of_other_kinds_are_refused(name: str, image: np.ndarray, what: str) -> None:
    with pytest.raises(InputError, match=what):
        converted(name).network.run(image)


@pytest.mark.parametrize("name", NETS)
def test_files_hold_everything(name: str, tmp_path: Path) -> None:
    network = converted(name, narrow=name == "pyramid").network
    path = tmp_path / "deep" / "net.safetensors"
    save_network(network, path)
    again = load_network(path)
    assert again.metadata == network.metadata
    assert [node.shape for node in again.nodes] == [node.shape for node in network.nodes]
    image = images_of(network.image.shape, seed=7)[0]
    stored: dict[str, np.ndarray] = {}
    for a, b in zip(network.run(image, lambda n, v: stored.update({n.name: v})), again.run(image), strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(network.real_outputs(network.run(image)), again.real_outputs(again.run(image)), strict=True):
        np.testing.assert_array_equal(a, b)
    save_network(again, tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()
    assert [entry.name for entry in (tmp_path / "deep").iterdir()] == ["net.safetensors"]


def test_files_of_before_there_were_groups(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    save_network(network := converted("pyramid").network, path)
    with safe_open(path, framework="numpy") as file:
        text = file.metadata()["rnnpool_integer"]
    assert '"groups": 1' in text
    save_file(load_file(path), path, metadata={"rnnpool_integer": text.replace(', "groups": 1', "")})
    image = images_of(network.image.shape)[0]
    for a, b in zip(load_network(path).run(image), network.run(image), strict=True):
        np.testing.assert_array_equal(a, b)


def test_damaged_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    save_network(converted("flattened").network, path)
    whole = path.read_bytes()
    with pytest.raises(InputError, match="there is no such file"):
        load_network(tmp_path / "other.safetensors")
    path.write_bytes(whole[:-10])
    with pytest.raises(InputError, match="not a whole safetensors file"):
        load_network(path)
    path.write_bytes(whole)
    tensors = load_file(path)
    save_file(tensors, path, metadata={"model": "face-tiny"})
    with pytest.raises(InputError, match="holds no integer network"):
        load_network(path)
    save_file(tensors, path, metadata={"rnnpool_integer": '{"format": 9}'})
    with pytest.raises(InputError, match=f"is of format 9; this version reads format {FORMAT}"):
        load_network(path)
    for description in ([], {"kind": "IntNode"}, {"kind": "Path"}, {"tensor": "x"}):
        text = json.dumps({"format": FORMAT, "network": description})
        save_file(tensors, path, metadata={"rnnpool_integer": text})
        with pytest.raises(InputError, match="does not fit its tensors|not a network"):
            load_network(path)


def test_flash_counts_what_the_chip_stores() -> None:
    network = converted("pyramid").network
    weights = sum(node.op.weights.size for node in network.nodes if hasattr(node.op, "weights"))
    sizes = flash_bytes(network)
    # W1 (6 x 4) in bytes; U1, W2, U2 in 16 bits; a table of 128 words a unit
    assert sizes["weights"] == weights + 6 * 4 + 2 * (6 * 6 + 4 * 6 + 4 * 4)
    assert sizes["gate tables"] == (6 + 4) * 128 * 4
