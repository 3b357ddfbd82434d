"""Estimates of the curvature in short phrases."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tbgrad.log.records import CurvatureEstimate
from tbgrad.log.text import duration, measured, percent_between
from tbgrad.reading.estimates import EstimateAge
from tbgrad.reading.run import Run
from tbgrad_tui import facts
from tbgrad_tui.chart import colours
from tbgrad_tui.chart.text import count, number, percent
from tbgrad_tui.widgets.chart_panel import Words

NOW = EstimateAge(0, False)


def standing_words(estimate: CurvatureEstimate, age: EstimateAge = NOW) -> Words:
    """Where the training stands against its limit, and since when that is known.

    What is stale is grey: it says nothing of the network as it is.
    """
    ago = f"{count(age.steps, 'step')} ago"
    place, meaning = facts.stability_words(estimate)
    words: Words = []
    if meaning:
        style = colours.QUIET if age.stale else colours.STANDINGS[place]
        words = [(f"λ/limit {estimate.stability:.2f}", style), (meaning, style)]
    if age.stale:
        return [(f"stale: {ago}", colours.QUIET), *words]
    return [*words, (f"estimated {ago}", colours.QUIET)] if age.steps else words


def curvature_words(
    estimate: CurvatureEstimate, *, age: EstimateAge = NOW, narrow: bool = False
) -> Words:
    """An estimate in a few phrases: "λmax 41.2 ± 0.8", "limit 76", "λ/limit 0.54", …

    Where it is `narrow` and not all will fit, what the numbers mean comes first.
    """
    top, bottom = estimate.lambda_max, estimate.lambda_min
    words = [(f"λmax {measured(top.value, top.residual)}", colours.MAIN)]
    limit: Words = [("no limit known", colours.QUIET)]
    if estimate.stability_threshold is not None:
        limit = [(f"limit {number(estimate.stability_threshold)}", colours.THRESHOLD)]
        if estimate.preconditioned is not None:
            bounded = measured(estimate.preconditioned.value, estimate.preconditioned.residual)
            limit.insert(0, (f"preconditioned λmax {bounded}", colours.PRECONDITIONED))
    doubt: Words = [] if estimate.converged else [("○ not converged", colours.WARNING)]
    standing = standing_words(estimate, age)
    if narrow:  # the number stands in the frame
        standing = [words for words in standing if not words[0].startswith("λ/limit")]
    words = [*standing, *doubt, *words, *limit] if narrow else [*words, *limit, *standing, *doubt]
    words.append((f"λmin {measured(bottom.value, bottom.residual)}", colours.SECOND))
    return words


def spread_words(steps: Sequence[int], estimates: Sequence[CurvatureEstimate]) -> Words:
    """The newest trace and the newest shares, which come less often than an estimate."""
    words: Words = []
    told = set()
    for step, estimate in zip(reversed(steps), reversed(estimates), strict=True):
        at = "" if estimate is estimates[-1] else f" at step {step:,}"
        shares = (
            ("above zero", estimate.minimum_ratio),
            ("below zero", estimate.negative_fraction),
        )
        for label, share in shares:
            if share is not None and label not in told:
                told.add(label)
                words.append((f"{label} {percent_between(share)}{at}", colours.TEXT))
        if not math.isnan(estimate.trace) and "trace" not in told:
            told.add("trace")
            text = f"trace {measured(estimate.trace, estimate.trace_error)}{at}"
            words.append((text, colours.TEXT))
    return words


def cost_words(run: Run, estimates: Sequence[CurvatureEstimate]) -> Words:
    """What the newest estimate took, and all of them together beside the time of the run."""
    newest = estimates[-1]
    products = count(newest.hvps, "product")
    words = [(f"cost {products}, {number(newest.seconds, 2)} s", colours.QUIET)]
    spent = math.fsum(each.seconds for each in estimates if math.isfinite(each.seconds))
    starts = [float(s.wall_times[0]) for s in run.values() if len(s) and s.wall_times[0] > 0]
    lasted = run.last_wall_time - min(starts, default=math.inf)
    if len(estimates) > 1 and spent > 0:
        share = f", {percent(spent / lasted)} of the run" if lasted > spent else ""
        words.append((f"{len(estimates):,} estimates took {duration(spent)}{share}", colours.QUIET))
    return words
