"""Scaled dot-product attention and torch.nn's multi-head attention."""

# ruff: noqa: D103 - a rule is named after its function and is a formula
from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F

from pinnderiv.derivatives.taylor.algebra import composite


@composite("scaled_dot_product_attention")
def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    if enable_gqa:
        groups = query.shape[-3] // key.shape[-3]
        key = torch.repeat_interleave(key, groups, -3)
        value = torch.repeat_interleave(value, groups, -3)
    return _attend(query, key, value, attn_mask, dropout_p, is_causal, scale)[0]


def _attend(
    query: Any, key: Any, value: Any, mask: Any, dropout_p: float, is_causal: bool, scale: Any
) -> tuple[Any, Any]:
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = torch.matmul(query * scale, torch.transpose(key, -2, -1))
    if is_causal:
        mask = torch.ones(
            query.shape[-2], key.shape[-2], dtype=torch.bool, device=query.device
        ).tril()
    if mask is not None:
        if mask.dtype == torch.bool:
            scores = torch.where(mask, scores, -math.inf)
        else:
            scores = scores + mask
    weights = torch.softmax(scores, -1)
    if dropout_p > 0:
        weights = F.dropout(weights, dropout_p)
    return torch.matmul(weights, value), weights


@composite("multi_head_attention_forward")
def multi_head_attention_forward(
    query: Any,
    key: Any,
    value: Any,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Any,
    in_proj_bias: Any,
    bias_k: Any,
    bias_v: Any,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Any,
    out_proj_bias: Any,
    training: bool = True,
    key_padding_mask: Any = None,
    need_weights: bool = True,
    attn_mask: Any = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Any = None,
    k_proj_weight: Any = None,
    v_proj_weight: Any = None,
    static_k: Any = None,
    static_v: Any = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Any, Any]:
    """``(L, N, E)`` or ``(L, E)``, as in torch.nn.functional."""
    batched = query.ndim == 3
    if not batched:
        query, key, value = (torch.unsqueeze(t, 1) for t in (query, key, value))
        key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
    target, batch, embed = query.shape
    heads = num_heads
    head = embed // heads
    if use_separate_proj_weight:
        weights = (q_proj_weight, k_proj_weight, v_proj_weight)
    else:
        weights = in_proj_weight.chunk(3)
    biases = (None,) * 3 if in_proj_bias is None else in_proj_bias.chunk(3)
    if query is key and key is value and not use_separate_proj_weight:
        q, k, v = torch.chunk(F.linear(query, in_proj_weight, in_proj_bias), 3, -1)
    else:
        q, k, v = (
            F.linear(t, w, b) for t, w, b in zip((query, key, value), weights, biases, strict=True)
        )
    extra = 0
    if bias_k is not None:
        k = torch.cat([k, bias_k.expand(1, batch, embed)])
        v = torch.cat([v, bias_v.expand(1, batch, embed)])
        extra += 1

    def by_head(t: Any) -> Any:
        return torch.permute(t.reshape(t.shape[0], batch, heads, head), (1, 2, 0, 3))

    q = by_head(q)
    k = by_head(k) if static_k is None else static_k.reshape(batch, heads, -1, head)
    v = by_head(v) if static_v is None else static_v.reshape(batch, heads, -1, head)
    if add_zero_attn:
        zero = torch.zeros(batch, heads, 1, head, dtype=query.dtype, device=query.device)
        k, v = torch.cat([k, zero], 2), torch.cat([v, zero], 2)
        extra += 1
    mask = _mask(attn_mask, key_padding_mask, batch, heads, extra, query.dtype)
    out, attention = _attend(q, k, v, mask, dropout_p if training else 0.0, False, None)
    out = torch.permute(out, (2, 0, 1, 3)).reshape(target, batch, embed)
    out = F.linear(out, out_proj_weight, out_proj_bias)
    if not batched:
        out, attention = torch.squeeze(out, 1), attention[0]
    if not need_weights:
        return out, None
    return out, torch.mean(attention, -3) if average_attn_weights else attention


def _mask(attn: Any, padding: Any, batch: int, heads: int, extra: int, dtype: Any) -> Any:
    """Both masks as one float mask that is added to the scores; True means masked out."""
    total = None
    if attn is not None:
        attn = _as_float(attn, dtype)
        if attn.ndim == 3:
            attn = attn.reshape(batch, heads, *attn.shape[-2:])
        total = F.pad(attn, (0, extra))
    if padding is not None:
        padding = F.pad(_as_float(padding, dtype), (0, extra))[:, None, None, :]
        total = padding if total is None else total + padding
    return total


def _as_float(mask: Any, dtype: Any) -> Any:
    if mask.dtype != torch.bool:
        return mask
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(mask, -math.inf)
