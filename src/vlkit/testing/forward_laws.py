"""Laws of what a part does with its input: pure, repeatable, every sample for itself, in each dtype and in training."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vlkit.testing.comparing import normal, require_near
from vlkit.testing.law import Broken, law
from vlkit.testing.module_subject import ModuleSubject
from vlkit.testing.state import RANDOM, changes, isolated, read, tags

HUGE = 1e4
"""Size of the numbers that other samples are replaced by."""


@law()
def determinism(subject: ModuleSubject) -> None:
    """In evaluation the same input gives the same result, bit for bit, whatever the seed."""
    part, x, results = subject.part(), subject.x(), []
    for seed in (1, 2):
        with isolated(seed):
            results.append(subject.output(part, x))
    require_near(
        results[1],
        results[0],
        "the same input gives another result the second time",
        likely="noise or functional dropout without `self.training`, or a number that is kept from call to call",
        remedy="use nn.Dropout, or pass training=self.training",
        near=0,
    )


@law()
def inputs_unchanged(subject: ModuleSubject) -> None:
    """An input is the same after forward."""
    for training in (False, True):
        x = subject.x()
        before, version = x.clone(), x._version
        subject.output(subject.part().train(training), x)
        if x._version != version or not torch.equal(x, before):
            raise Broken(
                f"forward changed {subject.x_name} in {'training' if training else 'evaluation'}",
                likely="an operation in place: x += ..., x.add_(...), x[...] = ..., or inplace=True",
                remedy="write x = x + ..., or clone first",
            )


@law()
def global_state(subject: ModuleSubject) -> None:
    """Forward changes nothing of the process; in training it may draw random numbers, but seed none."""
    for training in (False, True):
        part, x, ends = subject.part().train(training), subject.x(), []
        for seed in (1, 2):
            with isolated(seed):
                before = read()
                subject.output(part, x)
                after = read()
            drawn = [RANDOM] if training else []
            changed = [change for change in changes(before, after) if change not in drawn]
            if changed:
                raise Broken(
                    f"forward changed {', '.join(changed)} in {'training' if training else 'evaluation'}",
                    likely="a setting of the whole process is made for one part, or a seed is set",
                    remedy="leave settings and seeds to the caller; draw random numbers in training only",
                )
            ends.append(after[RANDOM])
        if ends[0] == ends[1]:
            raise Broken(
                "after forward, torch's random numbers are the same, whatever the seed before",
                likely="forward calls torch.manual_seed",
                remedy="leave seeds to the caller",
            )
    if tags() != subject.tags_before:
        raise Broken(
            "since it was built and ran, other parts are registered than before",
            likely="the constructor or forward registers parts, or imports a module that does",
            remedy="register parts where modules are imported",
        )


@law()
def batch_independence(subject: ModuleSubject) -> None:
    """A sample's result does not depend on the other samples, be they missing, others, or huge."""
    x = subject.x(samples=3)
    first, own, last = subject.rows_of(x, 3)
    noise = [HUGE * normal(9 + number, *rows.shape, dtype=rows.dtype) for number, rows in enumerate((first, last))]
    changed = torch.cat([noise[0], own, noise[1]])
    for training in (False, True):
        found, expected = (_result_in_the_middle(subject, batch, training=training) for batch in (changed, x))
        require_near(
            found,
            expected,
            f"in {'training' if training else 'evaluation'} other samples change a sample's result",
            likely=_mixer(subject.part()),
            remedy="let every operation keep the first axis apart; normalise over features, not over samples",
        )
    part = subject.part()
    require_near(
        subject.output(part, own),
        subject.rows_of(subject.output(part, x), 3)[1],
        "a sample alone gives another result than in a batch",
        likely=_mixer(part),
        remedy="let every operation keep the first axis apart",
    )


def _result_in_the_middle(subject: ModuleSubject, x: Tensor, *, training: bool) -> Tensor:
    with isolated():
        return subject.rows_of(subject.output(subject.part().train(training), x), 3)[1]


def _mixer(part: nn.Module) -> str:
    norms = [name for name, inner in part.named_modules() if isinstance(inner, nn.modules.batchnorm._BatchNorm)]
    if norms:
        return f"batch norm in {', '.join(map(repr, norms))} takes its statistics over samples"
    return "a mean, maximum, norm or reshape runs over samples"


@law(crash="a tensor of a fixed dtype meets the weights: torch.zeros(...) or .float() without .to(x.dtype)")
def dtypes(subject: ModuleSubject) -> str | None:
    """With weights and input in float32 or bfloat16 the result has that dtype; float64 is noted if it does not work."""
    for dtype in (torch.float32, torch.bfloat16):
        results = subject.everything(subject.part(dtype), subject.x(dtype=dtype))
        wrong = {str(result.dtype) for result in results} - {str(dtype)}
        if wrong:
            raise Broken(
                f"for {dtype} the result is {', '.join(sorted(wrong))}",
                likely="forward computes in float32 and does not go back",
                remedy="end with .to(x.dtype)",
            )
        if not all(bool(result.isfinite().all()) for result in results):
            raise Broken(
                f"in {dtype} some numbers are not finite",
                likely="an epsilon or a mask value that this dtype cannot hold",
                remedy="compute norms and softmax in float32",
            )
    if subject.dtype != torch.float64:
        return "it does not run in float64, so all laws were tested in float32, where small mistakes hide"
    return None


@law(crash="forward in training takes another path, which fails")
def training(subject: ModuleSubject) -> None:
    """A step of training runs, moves the weights, and leaves a part that can be evaluated."""
    part, x = subject.part().train(), subject.x()
    weights = [parameter for parameter in part.parameters() if parameter.requires_grad]
    if weights:
        before = [parameter.detach().clone() for parameter in weights]
        loss = torch.stack([result.square().mean() for result in subject.everything(part, x)]).sum()
        loss.backward()
        bad = [name for name, p in part.named_parameters() if p.grad is not None and not bool(p.grad.isfinite().all())]
        if bad:
            raise Broken(
                f"the gradients of {', '.join(map(repr, bad))} are not finite",
                likely="a root, logarithm or division at zero",
                remedy="add an epsilon, or mask before the operation rather than after it",
            )
        torch.optim.SGD(weights, lr=1e-3).step()
        if all(torch.equal(old, new) for old, new in zip(before, weights)):
            raise Broken("no weight moved", likely="forward runs under torch.no_grad or returns something detached")
    subject.output(part.eval(), x)


FORWARD_LAWS = (determinism, inputs_unchanged, global_state, batch_independence, dtypes, training)
