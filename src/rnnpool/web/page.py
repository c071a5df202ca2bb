"""The page: index.html, style.css, page.js and the module, a folder that works opened as files or from any server.

Browsers fetch nothing for a page that was opened as a file, so page.js holds the module as base64; the .wasm beside it
is the same, for pages of the user's own.
"""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np

from rnnpool.compile.emit import USUAL_THRESHOLD, render
from rnnpool.compile.results import DETECTION
from rnnpool.files import atomic_path, check_own_folder, write_text
from rnnpool.integer.head import POSITION, SCORE
from rnnpool.integer.network import ChannelScales
from rnnpool.web.module import TEMPLATES, Module
from rnnpool.web.self_check import check_results

_SCRIPT = Path(__file__).parent / "script"
SCRIPTS = ("resampling.js", "view.js", "network.js", "sources.js", "drawing.js", "main.js")  # page.js, in this order
GENERATOR = '<meta name="generator" content="rnnpool web">'
_SHOWN_CLASSES = 10


def write_page(module: Module, folder: Path) -> list[Path]:
    """Write the page of a module into ``folder``; the files, index.html first.

    Raises:
        InputError: ``folder`` is a file, or holds a page that is not of an earlier call.
    """
    description = describe(module)
    script = [
        f"// {json.dumps(module.network.name)} in the browser. Made by rnnpool.",
        '"use strict";\n',
        f"const NETWORK = {json.dumps(description)};\n",
        *((_SCRIPT / name).read_text(encoding="utf-8") for name in SCRIPTS),
    ]
    values = {
        "title": module.network.name,
        "threshold": USUAL_THRESHOLD,
        "arena_bytes": module.arena_bytes,
        "result_bytes": 2 * len(description["classes"]) if module.head is None else _detection_bytes(module),
        "multiply_adds": module.multiply_adds,
        "wasm_bytes": len(module.wasm),
        **{key: description[key] for key in ("kind", "channels", "height", "width")},
    }
    texts = {
        "index.html": render("index.html.j2", values, TEMPLATES),
        "style.css": (_SCRIPT / "style.css").read_text(encoding="utf-8"),
        "page.js": "\n".join(script),
    }
    wasm = folder / f"{module.name}.wasm"
    check_own_folder(folder, [*texts, wasm.name], "the page", "page", is_ours=_is_ours(folder / "index.html"))
    with atomic_path(wasm) as temporary:
        temporary.write_bytes(module.wasm)
    for name in reversed(texts):  # index.html last: where it is, all of the page is
        write_text(folder / name, texts[name])
    return [*(folder / name for name in texts), wasm]


def _is_ours(index: Path) -> bool:
    return index.is_file() and GENERATOR in index.read_text(encoding="utf-8", errors="replace")


def describe(module: Module) -> dict[str, Any]:
    """NETWORK of page.js: what its script has to know of a network."""
    network, head = module.network, module.head
    channels, height, width = network.image.shape
    metadata = network.metadata
    output = network.nodes[network.outputs[0]]
    assert isinstance(output.output, ChannelScales)
    scales = [] if head is not None else np.broadcast_to(output.output.scale, output.shape[:1]).tolist()
    classes = json.loads(metadata["classes"]) if "classes" in metadata else [f"class {i}" for i in range(len(scales))]
    return {
        "name": network.name,
        "kind": "scores" if head is None else "detections",
        "channels": channels,
        "height": height,
        "width": width,
        "crop": float(metadata["test_crop"]) if "test_crop" in metadata else None,
        "classes": [] if head is not None else classes,
        "scales": scales,
        "shownClasses": _SHOWN_CLASSES,
        "scoreUnit": SCORE,
        "pixelUnit": POSITION,
        "check": check_results(network, head),
        "wasm": base64.b64encode(module.wasm).decode("ascii"),
    }


def _detection_bytes(module: Module) -> int:
    assert module.head is not None
    return DETECTION.itemsize * module.head.candidates
