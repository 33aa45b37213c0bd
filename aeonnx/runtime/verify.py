"""Replaying a bundle's golden vectors on this machine, without torch."""

from __future__ import annotations

from aeonnx.errors import BundleError
from aeonnx.runtime.bundle import Bundle
from aeonnx.runtime.compare import Check, Report, malformed, max_differences, merged

__all__ = ["verify"]


def verify(bundle: Bundle) -> Report:
    """Run every part on its golden inputs, whole and row by row, and compare with torch's outputs.

    Every failure is in the report; a file that is missing or was changed raises.

    Raises:
        IntegrityError: a file is not the one that the manifest names.
        ProviderError: a provider asked for by name cannot run here.
    """
    return merged([_verify_part(bundle, part) for part in sorted(bundle.manifest.parts)])


def _verify_part(bundle: Bundle, part: str) -> Report:
    variant, session = bundle.variant(part), bundle.session(part)
    inputs = {name: bundle.read_golden(file) for name, file in variant.golden.inputs.items()}
    expected = {name: bundle.read_golden(file) for name, file in variant.golden.outputs.items()}
    rows = len(next(iter(inputs.values())))
    worst: dict[str, Check] = {}
    failures: list[str] = []
    for batch in [slice(0, rows), *(slice(row, row + 1) for row in range(rows))]:
        try:
            outputs = session.run({name: value[batch] for name, value in inputs.items()})
        except BundleError as error:
            failures.append(str(error))
            continue
        wrong = malformed(variant.outputs, batch.stop - batch.start, outputs)
        failures += [f"{part}.{line}" for line in wrong]
        if wrong:
            continue
        for name, tensor in variant.golden.outputs.items():
            differences = max_differences(outputs[name], expected[name][batch])
            check = Check(part, "fp32", name, *differences, tensor.tolerance or 0.0)
            if name not in worst or check.max_abs_diff > worst[name].max_abs_diff:
                worst[name] = check
    failures += [check.failure for check in worst.values() if not check.passed]
    return Report(tuple(worst.values()), tuple(dict.fromkeys(failures)))
