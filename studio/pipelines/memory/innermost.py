"""Stands between a module and its own forward, beneath every hook of diffusers. Knows neither weights nor plans.

A cache that skips a block does so in a hook around the block's forward: what stands beneath it is not called then,
whichever of the two came first.
"""

import functools
from collections.abc import Callable
from typing import Any

import torch


def wrap(module: torch.nn.Module, make: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Callable[[], None]:
    """`make(forward)` gives what is called in place of the module's own forward. Returns how to take it away."""
    own = _get(module)
    wrapped = functools.wraps(own)(make(own))  # the signature is read by hooks
    _set(module, wrapped)

    def unwrap() -> None:
        if _get(module) is not wrapped:
            raise RuntimeError(f"{type(module).__name__}: what came last goes first")
        _set(module, own)

    return unwrap


def _first_hook(module: torch.nn.Module) -> Any:
    registry = getattr(module, "_diffusers_hook", None)
    return registry._fn_refs[0] if registry is not None and registry._fn_refs else None


def _get(module: torch.nn.Module) -> Callable[..., Any]:
    hook = _first_hook(module)
    if hook is None:
        return module.forward
    return hook.forward if hook.original_forward is None else hook.original_forward


def _set(module: torch.nn.Module, forward: Callable[..., Any]) -> None:
    hook = _first_hook(module)
    if hook is not None:
        name = "forward" if hook.original_forward is None else "original_forward"
        setattr(hook, name, forward)
    elif getattr(forward, "__func__", None) is type(module).forward:
        module.__dict__.pop("forward", None)  # the class's own again
    else:
        module.__dict__["forward"] = forward
