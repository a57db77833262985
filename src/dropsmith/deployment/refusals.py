"""Noise that a graph cannot hold, by its site, and runtimes that cannot compute masks."""

from dropsmith.batches import Arguments
from dropsmith.errors import ExportError
from dropsmith.noise import own_draws
from dropsmith.patterns import TorchDropout
from dropsmith.prediction import Sampler, no_noise

RUNTIMES = {
    "coreml": "coremltools 9.0 has no XOR of integers, from which masks are made",
    "litert": "litert-torch 0.10 has no form for the integer operations from which masks are made",
}
"""Other formats that people ask for, and why there is none."""

_OTHER_NAMES = {
    "mlpackage": "coreml",
    "mlmodel": "coreml",
    "tflite": "litert",
    "engine": "tensorrt",
}

TORCH_DRAWS = {
    "Bernoulli",
    "Dropout",
    "Multinomial",
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
}
"""Operations of ONNX that draw noise of their own: runtimes leave some of them out in silence."""


def refused_format(word: str) -> str:
    """The reason why a format that is known elsewhere is none here; empty where it is not known."""
    return RUNTIMES.get(_OTHER_NAMES.get(word, word), "")


def check_exportable(sampler: Sampler, inputs: Arguments) -> None:
    """Raise `ExportError` where noise of the pass that has just run was torch's own.

    Raises:
        NoNoiseError: there is no noise.
    """
    if not sampler.noise_began:
        raise no_noise(sampler.model, sampler.probe_inputs)
    drawn = sampler.torch_drew
    sites = [
        assignment.site.name
        for assignment in sampler.installation.assignments
        if isinstance(assignment.pattern, TorchDropout)
        and assignment.pattern.rate
        and sampler.noise.draw_counts.get(assignment.site.name)
    ]
    if sites:
        raise ExportError(
            f"the noise at {_names(sites)} is torch's own draw, which a graph cannot repeat\n"
            "  give the site a pattern that draws by key: rule('<site>', Bernoulli(rate=...))"
        )
    if drawn:
        modules = own_draws(sampler.model, lambda: sampler.sample(inputs, (0,))).modules
        owner = _names([name for name in modules if name]) or "the root module"
        raise ExportError(
            f"{owner} draws noise by its own code, and a graph would hold one draw for all calls\n"
            "  put nn.Dropout or a rule of a plan in its place"
        )


def refuse_stacking(sampler: Sampler) -> None:
    """Raise `ExportError` where several samples cannot be made in one call."""
    one = "leave samples= out: one sample a call, for each number"
    weights = [
        assignment.site.name
        for assignment in sampler.installation.assignments
        if assignment.pattern.goes_on == "weights"
    ]
    if weights:
        raise ExportError(
            f"{_names(weights)} drops weights, which are the same for all rows of a call\n  {one}"
        )
    if sampler.layout.dependence:
        raise ExportError(
            f"samples cannot be made in one call: {sampler.layout.dependence}\n  {one}"
        )


def reason_of(error: BaseException) -> str:
    """The first line of an error that says something."""
    causes = [error]
    while (cause := causes[-1].__cause__) is not None:
        causes.append(cause)
    lines = [line.strip() for line in str(causes[-1]).splitlines()]
    line = next((line for line in lines if line), "")
    return f"{type(causes[-1]).__name__}: {line}"[:900]


def _names(names: list[str]) -> str:
    return ", ".join(map(repr, names[:3])) + (f" and {len(names) - 3} more" if names[3:] else "")
