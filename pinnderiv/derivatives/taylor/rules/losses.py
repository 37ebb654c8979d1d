"""Losses applied entry by entry, and other compositions in torch.nn.functional."""

# ruff: noqa: D103 - a rule is named after its function and is a formula
from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F

from pinnderiv.derivatives.taylor.algebra import composite
from pinnderiv.derivatives.taylor.dispatch import Unsuited


def _reduced(loss: Any, reduction: str, weight: Any = None) -> Any:
    if weight is not None:
        loss = loss * weight
    if reduction == "none":
        return loss
    if reduction == "sum":
        return torch.sum(loss)
    if reduction == "mean":
        return torch.mean(loss)
    raise Unsuited


def _legacy(size_average: Any, reduce: Any) -> None:
    if size_average is not None or reduce is not None:
        raise Unsuited


@composite(F.mse_loss)
def mse_loss(
    a: Any,
    b: Any,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    weight: Any = None,
) -> Any:
    _legacy(size_average, reduce)
    if weight is not None and reduction == "mean":
        raise Unsuited
    off = a - b
    return _reduced(off * off, reduction, weight)


@composite(F.l1_loss)
def l1_loss(
    a: Any,
    b: Any,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    weight: Any = None,
) -> Any:
    _legacy(size_average, reduce)
    if weight is not None and reduction == "mean":
        raise Unsuited
    return _reduced(torch.abs(a - b), reduction, weight)


@composite(F.smooth_l1_loss)
def smooth_l1_loss(
    a: Any,
    b: Any,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Any:
    _legacy(size_average, reduce)
    off = torch.abs(a - b)
    if beta == 0:
        return _reduced(off, reduction)
    near = off.detach() < beta
    return _reduced(torch.where(near, off * off * (0.5 / beta), off - 0.5 * beta), reduction)


@composite(F.huber_loss)
def huber_loss(
    a: Any, b: Any, reduction: str = "mean", delta: float = 1.0, weight: Any = None
) -> Any:
    if weight is not None:
        raise Unsuited
    off = torch.abs(a - b)
    near = off.detach() <= delta
    return _reduced(torch.where(near, 0.5 * off * off, delta * (off - 0.5 * delta)), reduction)


@composite(F.soft_margin_loss)
def soft_margin_loss(
    a: Any, b: Any, size_average: Any = None, reduce: Any = None, reduction: str = "mean"
) -> Any:
    _legacy(size_average, reduce)
    return _reduced(F.softplus(-b * a), reduction)


@composite(F.binary_cross_entropy_with_logits)
def binary_cross_entropy_with_logits(
    a: Any,
    b: Any,
    weight: Any = None,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    pos_weight: Any = None,
) -> Any:
    _legacy(size_average, reduce)
    hit, miss = -F.logsigmoid(a), -F.logsigmoid(-a)
    if pos_weight is not None:
        hit = hit * pos_weight
    return _reduced(b * hit + (1 - b) * miss, reduction, weight)


@composite(F.gaussian_nll_loss)
def gaussian_nll_loss(
    a: Any, b: Any, var: Any, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Any:
    if not hasattr(var, "shape"):
        var = torch.full_like(a.detach(), var)
    if tuple(var.shape) != tuple(a.shape):
        if tuple(a.shape[:-1]) == tuple(var.shape):
            var = torch.unsqueeze(var, -1)
        elif tuple(a.shape[:-1]) != tuple(var.shape[:-1]) or var.shape[-1] != 1:
            raise Unsuited
    # The floor is no function of the variance for autograd: its slope stays one.
    floor = torch.clamp(var.detach(), min=eps) - var.detach()
    var = var + floor
    off = a - b
    loss = 0.5 * (torch.log(var) + off * off / var)
    return _reduced(loss + 0.5 * math.log(2 * math.pi) if full else loss, reduction)


@composite(F.poisson_nll_loss)
def poisson_nll_loss(
    a: Any,
    b: Any,
    log_input: bool = True,
    full: bool = False,
    size_average: Any = None,
    eps: float = 1e-8,
    reduce: Any = None,
    reduction: str = "mean",
) -> Any:
    _legacy(size_average, reduce)
    if full:
        raise Unsuited
    loss = torch.exp(a) - b * a if log_input else a - b * torch.log(a + eps)
    return _reduced(loss, reduction)
