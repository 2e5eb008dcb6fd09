"""A classifier as it is run without gradients: other arithmetic, the same scores."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import TypeVar, cast

import torch
from torch import Tensor, nn

from soundsep.classifier.classifier import Classifier
from soundsep.models import Network

__all__ = ["InferenceCopy", "fold_batch_norm", "with_network"]

M = TypeVar("M", bound=nn.Module)
_CONVOLUTIONS = {nn.BatchNorm1d: nn.Conv1d, nn.BatchNorm2d: nn.Conv2d}


class InferenceCopy:
    """A classifier that answers by another form of its network, made anew if that changes.

    The classifier itself stays as it is, for training and saving. Only its network is replaced; its
    settings and all else are read from it at every call. Changes are seen of weights, layers and
    hooks, but not of what is written past torch, through ``weight.data`` or a NumPy view.

    Args:
        convert: A network in evaluation mode to its other form, such as `fold_batch_norm`; it gets
            the classifier.
    """

    def __init__(self, convert: Callable[[Classifier], Network]) -> None:
        self._convert = convert
        self._made: tuple[list[object], list[object], Network] | None = None

    def of(self, classifier: Classifier) -> Classifier:
        """The classifier with the other network; it shares its settings with the one given.

        The one given is put into evaluation mode.
        """
        if classifier.training:
            classifier.eval()
        network = cast(nn.Module, classifier.network)
        # Kept with their versions: one that was let go could give its place to another.
        parts = _parts(network)
        versions = [_version(part) for part in parts]
        made = self._made
        if made is None or made[1] != versions or not all(map(_is, made[0], parts)):
            made = self._made = (parts, versions, self._convert(classifier))
        return with_network(classifier, made[2])

    def __getstate__(self) -> dict[str, object]:
        """Without the network, which may hold a session of another runtime."""
        return {"_convert": self._convert, "_made": None}


def with_network(classifier: Classifier, network: Network) -> Classifier:
    """A classifier with another network; it shares all else with the one given."""
    clone = copy.copy(classifier)
    # A module has no other way to have a child that its original has not.
    vars(clone)["_modules"] = {**classifier._modules, "network": network}
    return clone


def fold_batch_norm(module: M) -> M:
    """A network in evaluation mode, each batch norm folded into the convolution before it.

    In evaluation mode, batch norm scales and shifts every channel by constants, which the
    convolution's own weights and bias can do as well. Only neighbours in a `torch.nn.Sequential`
    that calls them in turn are folded. All else is shared with the module given, which is not
    changed.
    """
    children = {
        name: child if child is None else fold_batch_norm(child)
        for name, child in module._modules.items()
    }
    own = getattr(module.forward, "__func__", None)  # of its class, or its own
    if isinstance(module, nn.Sequential) and own is nn.Sequential.forward:
        names = list(children)
        for name, following in pairwise(names):
            convolution, norm = children[name], children[following]
            if _can_fold(convolution, norm):
                assert isinstance(convolution, (nn.Conv1d, nn.Conv2d))
                assert isinstance(norm, (nn.BatchNorm1d, nn.BatchNorm2d))
                children[name] = _folded(convolution, norm)
                children[following] = nn.Identity()
    if all(children[name] is child for name, child in module._modules.items()):
        return module
    clone = copy.copy(module)
    vars(clone)["_modules"] = children
    return clone


def _can_fold(convolution: nn.Module | None, norm: nn.Module | None) -> bool:
    """Whether two neighbours are a plain convolution and a plain batch norm of its channels."""
    return (
        norm is not None
        and convolution is not None
        and type(convolution) is _CONVOLUTIONS.get(type(norm))  # type: ignore[arg-type]  # or None
        and "weight" in convolution._parameters  # one that is parametrised computes it
        and norm._buffers.get("running_var") is not None
        and not any(map(len, (*_hooks(convolution), *_hooks(norm))))
    )


@torch.no_grad()
def _folded(
    convolution: nn.Conv1d | nn.Conv2d, norm: nn.BatchNorm1d | nn.BatchNorm2d
) -> nn.Conv1d | nn.Conv2d:
    """One convolution that does what both do; the constants are computed in float64."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = (_exact(norm.running_var) + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * _exact(norm.weight)
    shift = -_exact(norm.running_mean)
    if convolution.bias is not None:
        shift = shift + _exact(convolution.bias)
    shift = shift * scale
    if norm.bias is not None:
        shift = shift + _exact(norm.bias)
    weight = convolution.weight
    scale, shift = (tensor.to(weight.device, weight.dtype) for tensor in (scale, shift))
    scaled = weight * scale.reshape(-1, *[1] * (weight.ndim - 1))  # laid out like the weight
    clone = copy.copy(convolution)
    vars(clone)["_parameters"] = {
        "weight": nn.Parameter(scaled, requires_grad=False),
        "bias": nn.Parameter(shift, requires_grad=False),
    }
    return clone


def _exact(tensor: Tensor) -> Tensor:
    return tensor.cpu().double()  # some accelerators have no float64


def _hooks(module: nn.Module) -> tuple[Mapping[int, object], Mapping[int, object]]:
    """What is called before and after a module."""
    return module._forward_pre_hooks, module._forward_hooks


def _parts(network: nn.Module) -> list[object]:
    """All that answers may depend on: its modules, their parameters, buffers and hooks."""
    modules = [network]
    parts: list[object] = []
    for module in modules:  # which grows
        modules += (child for child in module._modules.values() if child is not None)
        for held in (module._parameters, module._buffers, *_hooks(module)):
            parts += held.values()
    return parts + modules


def _version(part: object) -> object:
    """Of a tensor where it lies, and how often it was written to; of a norm its constant."""
    if not isinstance(part, Tensor):
        return part.eps if isinstance(part, (nn.BatchNorm1d, nn.BatchNorm2d)) else None
    try:
        return part.data_ptr(), part._version
    except RuntimeError:  # made in inference mode; a parameter around such a tensor does not say so
        return part.data_ptr(), 0


def _is(one: object, other: object) -> bool:
    return one is other
