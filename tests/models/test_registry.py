"""Networks by name."""

import pytest

from rnnpool.errors import InputError
from rnnpool.models import create_model, list_models, model_info, register


def test_the_detectors_are_listed():
    expected = {"face-a", "face-b", "face-c", "face-quant", "face-m4", "face-qvga-mono", "face-tiny"}
    expected |= {"face-tiny-strided", "face-tiny-strided-wide"}
    assert expected <= set(list_models())
    assert set(list_models("face-*")) == expected
    assert all(model_info(name).task == "detection" for name in expected)


def test_an_unknown_name_is_answered_with_the_closest():
    with pytest.raises(InputError, match="no model named 'face-tiney'; did you mean face-tiny"):
        create_model("face-tiney")


def test_a_name_is_registered_once():
    with pytest.raises(ValueError, match="'face-tiny' is registered already"):
        register("face-tiny", summary="another")(create_model)


def test_a_name_like_no_other_is_told_where_names_are() -> None:
    with pytest.raises(InputError, match=r"no model named 'zzz'; rnnpool models and list_models\(\) name them all$"):
        model_info("zzz")
