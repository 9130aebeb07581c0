"""The table of rules: which function says what an operation does to the flow.

A rule is called as rule(site, *args, **kwargs) with the arguments of the operation, flows in the place of the tensors
that depend on the input; a module's rule gets the module before them. It returns the flow of the result, a tuple of
flows where the result is a tuple, None where the result does not depend on the input; it raises `Unsupported` where it
cannot tell.
"""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import nn
from torch.nn import functional as F

Rule = Callable[..., Any]
"""Called by the table with arguments of any operation, so its parameters are not known here."""
RuleT = TypeVar("RuleT", bound=Rule)

MODULES: dict[type[nn.Module], Rule] = {}
FUNCTIONS: dict[Callable[..., Any], Rule] = {}
METHODS: dict[str, Rule] = {}


class Unsupported(Exception):
    """A rule cannot say what the operation does; the message says why.

    ``known`` is a flow, or a tuple of them, of which the dimensions alone are right, where these are known.
    """

    def __init__(self, reason: str, known: Any = None) -> None:
        super().__init__(reason)
        self.known = known


@dataclass(frozen=True)
class Site:
    """Where a rule is applied.

    Attributes
    ----------
    name : str
        The operation and the module that runs it, for reasons.
    shape : tuple
        The result's shape; a tuple of shapes where the result is a tuple of tensors.
    """

    name: str
    shape: tuple[Any, ...]


def for_modules(*classes: type[nn.Module]) -> Callable[[RuleT], RuleT]:
    """Register a rule for modules of exactly these classes."""

    def register(rule: RuleT) -> RuleT:
        MODULES.update(dict.fromkeys(classes, rule))
        return rule

    return register


def for_functions(*functions: Callable[..., Any]) -> Callable[[RuleT], RuleT]:
    """Register a rule for these functions."""

    def register(rule: RuleT) -> RuleT:
        FUNCTIONS.update(dict.fromkeys(functions, rule))
        return rule

    return register


def for_names(*names: str) -> Callable[[RuleT], RuleT]:
    """Register a rule for every function of torch, torch.nn.functional and operator, and every method, so named."""

    def register(rule: RuleT) -> RuleT:
        for name in names:
            METHODS[name] = rule
            for space in (torch, F, operator):
                if callable(function := getattr(space, name, None)):
                    FUNCTIONS[function] = rule
        return rule

    return register
