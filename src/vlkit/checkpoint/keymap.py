"""The key map: official names and shapes to ours and back, every tensor exactly once."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vlkit.checkpoint.mismatch import nearest, refuse_mismatch
from vlkit.checkpoint.rules import Index, Rule, Shape, Stack
from vlkit.errors import CheckpointError, ConfigError


@dataclass(frozen=True)
class Slot:
    """Where an official tensor lies in one of our parameters: `parameter[index]` has its shape.

    Args:
        theirs: official name.
        index: place in our parameter; always a contiguous piece of it.
        shape: official shape.
    """

    theirs: str
    index: Index
    shape: Shape


class KeyMap:
    """Rules read in both directions; for each name the first rule that matches holds.

    Args:
        rules: special ones before general ones. Rules with the same pattern of ours are the parts of one parameter.

    Raises:
        ConfigError: if rules with the same pattern of ours do not make up a whole parameter.
    """

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = tuple(rules)
        self._groups: dict[str, list[Rule]] = defaultdict(list)
        for rule in self.rules:
            if rule.ours is not None:
                self._groups[rule.ours].append(rule)
        for ours, group in self._groups.items():
            parts = sorted(rule.part for rule in group)
            if parts != [(i, len(group)) for i in range(len(group))] or len({rule.op for rule in group}) > 1:
                raise ConfigError(
                    f"the rules for {ours!r} have the parts {parts}",
                    rule="rules with the same pattern of ours have the same op and the parts (0, n) .. (n-1, n)",
                )

    def slots(self, ours: Mapping[str, Sequence[int]]) -> dict[str, list[Slot]]:
        """Official tensors that fill each of our parameters, from our names and shapes alone.

        Raises:
            CheckpointError: if a parameter has no official name, or a shape that its rule cannot hold for.
        """
        return {name: self._slots_of(name, tuple(shape)) for name, shape in ours.items()}

    def their_names(self, ours: Mapping[str, Sequence[int]]) -> dict[str, Shape]:
        """Official names and shapes that stand for our names and shapes.

        Raises:
            CheckpointError: as for `slots`.
        """
        return {slot.theirs: slot.shape for slots in self.slots(ours).values() for slot in slots}

    def our_names(self, theirs: Mapping[str, Sequence[int]]) -> dict[str, Shape]:
        """Our names and shapes that official names and shapes stand for; names without a rule are left out.

        Raises:
            CheckpointError: if a tensor has a shape that its rule cannot hold for.
        """
        first: dict[str, tuple[Rule, str]] = {}
        numbers: dict[str, set[str]] = defaultdict(set)
        for name in theirs:
            rule, fields = self._rule_for(name)
            if rule is None or rule.ours is None:
                continue
            our_name = rule.ours_pattern.fill(fields)
            first.setdefault(our_name, (rule, name))
            if isinstance(rule.op, Stack):
                numbers[our_name].add(fields[rule.op.field])
        shapes: dict[str, Shape] = {}
        for our_name, (rule, name) in first.items():
            shape = rule.ours_shape(tuple(theirs[name]), len(numbers[our_name]))
            if shape is None:
                raise CheckpointError(f"{name!r} is {list(theirs[name])}, which {rule} cannot hold for")
            shapes[our_name] = shape
        return shapes

    def plan(self, theirs: Mapping[str, Sequence[int]], ours: Mapping[str, Sequence[int]]) -> dict[str, list[Slot]]:
        """Official tensors that fill each of our parameters, checked against those that there are.

        Args:
            theirs: names and shapes in the checkpoint.
            ours: names and shapes in the model.

        Raises:
            CheckpointError: listing unknown names with the nearest expected one, missing names and wrong shapes.
        """
        plan = self.slots(ours)
        expected = {slot.theirs: (slot.shape, name) for name, slots in plan.items() for slot in slots}
        refuse_mismatch(theirs, expected, {name for name in theirs if name not in expected and self._is_left_out(name)})
        return plan

    def from_theirs(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Our tensors from official ones: views where one official tensor is the whole, else new tensors.

        Raises:
            CheckpointError: if an official tensor is unknown, missing, or of a shape or dtype that does not fit.
        """
        shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        ours = self.our_names(shapes)
        plan = self.plan(shapes, ours)
        return {name: _assembled(tensors, slots, ours[name]) for name, slots in plan.items()}

    def to_theirs(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Official tensors from ours, all of them views.

        Raises:
            CheckpointError: as for `slots`.
        """
        plan = self.slots({name: tensor.shape for name, tensor in tensors.items()})
        return {slot.theirs: tensors[name][slot.index] for name, slots in plan.items() for slot in slots}

    def _slots_of(self, name: str, shape: Shape) -> list[Slot]:
        for group in self._groups.values():
            fields = group[0].ours_pattern.match(name)
            if fields is not None:
                return [slot for rule in group for slot in self._slots_by(rule, fields, name, shape)]
        raise CheckpointError(
            f"{name!r} has no official name",
            rule="a checkpoint in the official layout holds the parameters of the official model, and no others",
            remedy=f"the nearest pattern is {nearest(name, self._groups)!r}",
        )

    def _slots_by(self, rule: Rule, fields: dict[str, str], name: str, shape: Shape) -> Iterable[Slot]:
        theirs_shape = rule.theirs_shape(shape)
        if theirs_shape is None:
            raise CheckpointError(f"{name!r} is {list(shape)}, which {rule} cannot hold for")
        numbered = [fields]
        if isinstance(rule.op, Stack):
            numbered = [{**fields, rule.op.field: str(number)} for number in range(shape[0])]
        for each in numbered:
            theirs = rule.theirs_pattern.fill(each)
            winner, _ = self._rule_for(theirs)
            if winner is not rule:
                raise ConfigError(
                    f"{name!r} is {theirs!r} by {rule}, but that name falls to {winner}",
                    rule="a name goes there and back by the same rule",
                    remedy="put the special rule first and give each official name one place",
                )
            yield Slot(theirs, rule.index(each, theirs_shape), theirs_shape)

    def _rule_for(self, theirs: str) -> tuple[Rule | None, dict[str, str]]:
        for rule in self.rules:
            fields = rule.theirs_pattern.match(theirs)
            if fields is not None:
                return rule, fields
        return None, {}

    def _is_left_out(self, theirs: str) -> bool:
        rule, _ = self._rule_for(theirs)
        return rule is not None and rule.ours is None


def _assembled(tensors: Mapping[str, Tensor], slots: list[Slot], shape: Shape) -> Tensor:
    first = tensors[slots[0].theirs]
    if first.numel() == math.prod(shape):
        return first.reshape(shape)
    whole = torch.empty(shape, dtype=first.dtype, device=first.device)
    for slot in slots:
        tensor = tensors[slot.theirs]
        if tensor.dtype != first.dtype:
            raise CheckpointError(
                f"{slot.theirs!r} is {tensor.dtype}, {slots[0].theirs!r} is {first.dtype}",
                rule="tensors that become one parameter have one dtype",
            )
        whole[slot.index] = tensor
    return whole
