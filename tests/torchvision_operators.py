"""Lets torchvision be imported beside a torch that it was not compiled for.

timm and transformers import torchvision for its picture transforms, which need none of its compiled operators. When it
is imported it describes two of them to torch, which fails where the compiled library did not load.
"""

import importlib.util

import torch

SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_library: list[torch.library.Library] = []


def declare_missing_operators() -> None:
    """Declare, without an implementation, the operators that torchvision describes when it is imported."""
    if importlib.util.find_spec("torchvision") is None or _library:
        return
    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            library.define(operator + SCHEMA)
        _library.append(library)
