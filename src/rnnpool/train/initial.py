"""The network that a run starts from: random weights, or those of a file."""

from fnmatch import fnmatchcase
from pathlib import Path

from torch import nn

from rnnpool.errors import InputError
from rnnpool.models import create_model
from rnnpool.models.weights import find_shipped_weights, read_weights
from rnnpool.train.recipe import ModelRecipe


def initial_model(recipe: ModelRecipe) -> nn.Module:
    """Build the recipe's network; with ``init_from``, take over the tensors of that file, of whatever network it is.

    ``init_from`` is a path, or the name of a network whose trained weights are shipped.

    Every parameter must be in the file in its shape, or be named by ``init_skip`` (a name, a submodule, or a pattern).
    """
    model = create_model(recipe.name, **recipe.options)
    if recipe.init_from is None:
        return model
    path = find_shipped_weights(recipe.init_from) or Path(recipe.init_from)
    found, metadata = read_weights(path)
    wanted = model.state_dict()
    for skipped in recipe.init_skip:
        if not any(_is_named(key, skipped) for key in wanted):
            raise InputError(
                f"model.init_skip names {skipped!r}, which is no parameter or submodule of {recipe.name!r}"
            )
    taken = {key: value for key, value in wanted.items() if not any(_is_named(key, name) for name in recipe.init_skip)}
    for key, value in taken.items():
        if key not in found:
            raise InputError(f"{path} lacks {key!r} of model {recipe.name!r} (model.init_skip would leave it random)")
        if found[key].shape != value.shape:
            theirs = metadata.get("model", "of unknown name")
            shapes = f"{tuple(found[key].shape)} in its model, {theirs}, and {tuple(value.shape)} in {recipe.name}"
            raise InputError(f"{path}: {key!r} has shape {shapes} (model.init_skip would leave it random)")
    model.load_state_dict({key: found[key] for key in taken}, strict=False)
    return model


def _is_named(key: str, name: str) -> bool:
    return key == name or key.startswith(f"{name}.") or fnmatchcase(key, name)
