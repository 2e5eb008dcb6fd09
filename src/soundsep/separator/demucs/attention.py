"""Transformers of demucs, with self-attention by the kernel that keeps no table of all pairs."""

from __future__ import annotations

import copy
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

__all__ = ["fuse_self_attention"]


def fuse_self_attention(module: nn.Module) -> nn.Module:
    """A network whose self-attention needs less time and memory, with the same output.

    Without gradients, torch computes `torch.nn.MultiheadAttention` in one step, which on a CPU
    writes the weights of all pairs of points to memory: 231 MB a layer in ``htdemucs``. All but
    these layers is shared with the module given, which is not changed.
    """
    if type(module) is nn.MultiheadAttention and _is_plain(module):
        return _SelfAttention(module).train(module.training)
    children = {
        name: child if child is None else fuse_self_attention(child)
        for name, child in module._modules.items()
    }
    if all(children[name] is child for name, child in module._modules.items()):
        return module
    clone = copy.copy(module)
    vars(clone)["_modules"] = children
    return clone


def _is_plain(attention: nn.MultiheadAttention) -> bool:
    return (
        attention.batch_first
        and attention.in_proj_weight is not None
        and attention.bias_k is None
        and attention.bias_v is None
        and not attention.add_zero_attn
    )


class _SelfAttention(nn.Module):
    """Attention that is computed here where a sequence hears itself, and all of itself."""

    def __init__(self, attention: nn.MultiheadAttention) -> None:
        super().__init__()
        self.attention = attention

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, **options: Any
    ) -> tuple[Tensor, Tensor | None]:
        """What the attention returns: its output, and its weights if they are asked for."""
        attention = self.attention
        is_own = query is key and key is value and query.ndim == 3 and not attention.training
        # A mask, or weights to be returned; the attention returns weights by default.
        is_special = any(
            option is not None and option is not False
            for option in {"need_weights": True, **options}.values()
        )
        if not is_own or is_special:
            answer: tuple[Tensor, Tensor | None] = attention(query, key, value, **options)
            return answer
        heads = functional.linear(query, attention.in_proj_weight, attention.in_proj_bias)
        parts = heads.view(*heads.shape[:2], 3, attention.num_heads, -1)
        # (3, batch, heads, points, channels)
        heard = functional.scaled_dot_product_attention(*parts.permute(2, 0, 3, 1, 4))
        return attention.out_proj(heard.transpose(1, 2).flatten(2)), None
