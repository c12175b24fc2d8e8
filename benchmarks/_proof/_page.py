"""The page of the proof: who is ahead, as a table and a figure; seconds, settings, absences."""

from __future__ import annotations

import json
import os
import platform
from collections import Counter
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from ._task import MEASURES

__all__ = ["write"]

OURS = "ours"
PACKAGES = ("torch", "scikit-learn", "skorch", "numpy", "pandas", "skrub")
# Colours of Okabe & Ito, told apart by colour-blind readers, too; shapes say the same.
FAMILIES = {
    "linear": (
        "PCA",
        "PCA of indicators",
        "ridge",
        "PLS",
        "CCA",
        "cca-zoo",
        "mvlearn",
        "FAMD",
        "FAMD without text",
    ),
    "networks": ("Keras autoencoder", "MLPRegressor", "multivae", "multiviewae"),
    "features and imputers": (),  # all others
}
STYLES = {
    "linear": ("#0072B2", "s"),
    "networks": ("#D55E00", "^"),
    "features and imputers": ("#009E73", "D"),
}
TEXT = Path(__file__).with_name("page.md").read_text(encoding="utf-8")


def write(path, tasks, found, absent, *, quick):
    """Write the page, and the figure beside it, of the records in `found`."""
    records = [record for record in found.values() if record["task"] in tasks]
    figures = gather(tasks, records)
    path.parent.mkdir(parents=True, exist_ok=True)
    draw(path.with_suffix(".png"), figures)
    absent = absent | unfinished(tasks, records, absent)
    splits = sorted({task.n_splits for task in tasks.values()})
    text = TEXT.format(
        facts=facts(records, quick),
        summary=summary(figures),
        table=table(figures),
        splits=" or ".join(map(str, splits)),
        components="; ".join(f"{name}: {task.k}" for name, task in tasks.items()),
        seconds=seconds(tasks, records),
        settings=settings(records),
        absent="\n".join(f"- {name}: {why}" for name, why in absent.items()) or "Nothing.",
        minutes=sum(record["spent"] for record in records) / 60,
    )
    path.write_text(text, encoding="utf-8")


def unfinished(tasks, records, absent):
    """Return what has fewer splits than it should, unless the reason is known already."""
    found = Counter((record["task"], record["method"]) for record in records)
    missing = {}
    for name, task in tasks.items():
        for method in task.methods:
            n_done = found[name, method]
            known = {name, method, f"{method}, {name}"} & absent.keys()
            if n_done < task.n_splits and not known:
                key = f"{name}, {n_done} of {task.n_splits} splits so far"
                missing.setdefault(key, []).append(method)
    return {key: ", ".join(methods) for key, methods in missing.items()}


def gather(tasks, records):
    """Return what was measured by measure and task, there by method, and there by split."""
    figures = {}
    for measure in MEASURES:
        for name, task in tasks.items():
            by_method = {}
            for method in task.methods:
                by_split = {
                    record["split"]: record["measured"][measure]
                    for record in records
                    if (record["task"], record["method"]) == (name, method)
                    and measure in record["measured"]
                }
                if by_split:
                    by_method[method] = by_split
            if OURS in by_method:
                figures[measure, name] = by_method
    return figures


def mean_of(values):
    """Return the mean over splits, and its standard error, 0 of one."""
    values = list(values)
    error = np.std(values, ddof=1) / len(values) ** 0.5 if len(values) > 1 else 0.0
    return float(np.mean(values)), float(error)


def facts(records, quick):
    """Return when, where and with what this was computed."""
    days = sorted({record["date"] for record in records})
    when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    versions = [f"Python {platform.python_version()}"]
    for package in PACKAGES:
        try:
            versions.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    peers = {record["peer"] for record in records if record.get("peer")}
    machine = f"{os.cpu_count()} cores ({processor()}), {platform.system()}, one thread"
    warning = "**quick: not a measurement.** " if quick else ""
    return f"{warning}{when}; {machine}; {', '.join([*versions, *sorted(peers)])}."


def processor():
    """Return the name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def others(by_method):
    """Return the methods that are not ours, the best first."""
    rest = [name for name in by_method if name != OURS]
    return sorted(rest, key=lambda name: -mean_of(by_method[name].values())[0])


def apart(by_method, other):
    """Return 1 where ours is ahead of another, -1 where it is behind, split by split; else 0."""
    ours, theirs = by_method[OURS], by_method[other]
    gap, error = mean_of(ours[split] - theirs[split] for split in ours.keys() & theirs.keys())
    return 0 if abs(gap) <= error else int(np.sign(gap))


def summary(figures):
    """Return how often ours is ahead of the best of the others, even with it, and behind."""
    counts = {1: 0, 0: 0, -1: 0}
    for by_method in figures.values():
        rest = others(by_method)
        if rest:
            counts[apart(by_method, rest[0])] += 1
    return (
        f"Of {sum(counts.values())} rows, ours is ahead of the best of the others in {counts[1]},"
        f" even with it in {counts[0]}, and behind it in {counts[-1]}."
    )


def table(figures):
    """Return who is ahead of ours, even with it and behind, for each row of the figure."""
    lines = [["question", "data", "ours", "ahead of ours", "even with it", "behind it"]]
    for (measure, name), by_method in figures.items():
        sides = {-1: [], 0: [], 1: []}
        for other in others(by_method):
            sides[apart(by_method, other)].append(f"{other} {shown(by_method[other])}")
        cells = [", ".join(side) or "-" for side in sides.values()]
        lines.append([MEASURES[measure], name, f"**{shown(by_method[OURS])}**", *cells])
    return as_table(lines)


def shown(by_split):
    """Return a mean with its standard error."""
    mean, error = mean_of(by_split.values())
    return f"{mean:.3f} ± {error:.3f}" if error else f"{mean:.3f}"


def seconds(tasks, records):
    """Return the mean seconds of a fit, a row for each method."""
    methods = list(dict.fromkeys(name for task in tasks.values() for name in task.methods))
    lines = [["method", *tasks]]
    for method in methods:
        cells = []
        for name in tasks:
            times = [
                record["seconds"]
                for record in records
                if (record["task"], record["method"]) == (name, method)
            ]
            cells.append(f"{np.mean(times):.2g}" if times else "")
        if any(cells):
            lines.append([method, *cells])
    return as_table(lines)


def settings(records):
    """Return the chosen settings, a row for each method that has any."""
    chosen = {}
    for record in records:
        by_setting = {}
        for measure, setting in record["chosen"].items():
            text = ", ".join(f"{k}={json.dumps(v)}" for k, v in setting.items())
            by_setting.setdefault(text, []).append(measure)
        for text, measures in by_setting.items():
            if text:
                of = f" ({', '.join(measures)})" if len(by_setting) > 1 else ""
                by_task = chosen.setdefault(record["method"], {})
                by_task.setdefault(record["task"], {})[text + of] = None
    lines = [["method", "settings"]]
    for method, by_task in chosen.items():
        lines.append([method, "; ".join(f"{n}: {', '.join(s)}" for n, s in by_task.items())])
    return as_table(lines)


def as_table(lines):
    """Return lines of cells as a table in Markdown."""
    head, *rest = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join([head, "|" + "---|" * len(lines[0]), *rest])


def family(method):
    """Return which family a method belongs to."""
    for name, members in FAMILIES.items():
        if method in members:
            return name
    return "features and imputers"


def draw(path, figures):
    """Draw the dot chart: a row for each question and data set."""
    from matplotlib.figure import Figure

    rows, ticks, y = [], [], 0.0
    for measure in MEASURES:
        of_measure = [(name, by) for (m, name), by in figures.items() if m == measure]
        if of_measure:
            rows.append((y, measure, None, None))
            y += 1
        for name, by_method in of_measure:
            rows.append((y, measure, name, by_method))
            y += 1
        y += 0.4 if of_measure else 0
    figure = Figure(figsize=(9.5, 0.42 * y + 1.3), layout="constrained")
    axes = figure.subplots()
    labelled = set()
    for at, measure, name, by_method in rows:
        if name is None:
            axes.text(0, at + 0.2, MEASURES[measure], weight="bold", va="center", fontsize=12)
            continue
        ticks.append((at, name))
        axes.axhline(at, color="0.88", lw=1, zorder=0)
        for method, by_split in by_method.items():
            mean, error = mean_of(by_split.values())
            label, style = style_of(method)
            axes.errorbar(
                *(max(mean, 0), at),
                xerr=error,
                **style,
                label=label if label not in labelled else None,
            )
            labelled.add(label)
        rest = others(by_method)
        if rest:
            best, _ = mean_of(by_method[rest[0]].values())
            axes.text(1.02, at, f"{rest[0]} {best:.2f}", va="center", fontsize=11)
    axes.text(1.02, -0.2, "best of the others", va="center", fontsize=11, style="italic")
    axes.set_yticks([at for at, _ in ticks], [name for _, name in ticks], fontsize=11)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=11)
    axes.set_xlim(-0.02, 1.0)
    axes.set_ylim(y - 0.4, -0.8)
    axes.set_xlabel(
        "R² or accuracy on held-out rows (1 is perfect; below 0 drawn at 0)", fontsize=12
    )
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.legend(loc="lower center", bbox_to_anchor=(0.45, 1.0), ncols=4, frameon=False, fontsize=11)
    figure.savefig(path, dpi=130)


def style_of(method):
    """Return the label in the legend and the look of a method's dots."""
    if method == OURS:
        return OURS, {"fmt": "o", "color": "black", "ms": 8, "capsize": 2, "zorder": 3}
    name = family(method)
    colour, marker = STYLES[name]
    return name, {
        **{"fmt": marker, "color": colour, "mfc": "white", "ms": 6.5, "mew": 1.6, "alpha": 0.9},
        **{"capsize": 2, "zorder": 2},
    }
