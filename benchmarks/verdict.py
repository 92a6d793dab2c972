"""What was measured, beside its limits."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.limits import LIMITS


def print_verdict(section: str, found: Mapping[str, float]) -> None:
    """Print a table of a section's figures; those without a limit are there for comparison."""
    limits = LIMITS[section]
    print("\n| | measured | limit | |\n|---|---|---|---|")
    for name, value in found.items():
        if name not in limits:
            print(f"| {name} | {value:.3g} | | |")
            continue
        side, bound = limits[name]
        kept = value <= bound if side == "at most" else value >= bound
        print(f"| {name} | {value:.3g} | {side} {bound:g} | {'kept' if kept else 'MISSED'} |")
    print(flush=True)
