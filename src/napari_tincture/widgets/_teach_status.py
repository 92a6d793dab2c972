"""What is said of a session that learns from strokes."""

from __future__ import annotations

from napari_tincture.widgets._form import Level
from napari_tincture.widgets._lesson import Lesson
from napari_tincture.worker.jobs import State


def status_of(lesson: Lesson | None, *, painted: bool) -> tuple[Level, str]:
    """Steps, loss, figures and the time since the stroke; or what is to be done.

    Parameters
    ----------
    painted
        Whether a layer of strokes is chosen.
    """
    if lesson is None:
        todo = "Paint some pixels of each class, and press Train."
        return Level.NOTE, todo if painted else "Press New labels to paint on the image."
    job = lesson.job
    if job.state is State.FAILED:
        return Level.PROBLEM, f"{job.error} The strokes are still there: Train begins again."
    if not lesson.alive:
        return Level.NOTE, "It has ended. Train begins again from the strokes."
    if not job.begun:
        return Level.NOTE, "Starting …"
    lines = [*([job.trouble] if job.trouble else []), *_others(lesson), *_figures(lesson)]
    if not lines:
        nothing = "Paint some pixels of two classes." if not any(job.pixels) else "Learning …"
        lines = [nothing]
    worse = job.mean_iou is not None and job.mean_iou <= (job.constant or 0)
    good = job.steps > 0 and not job.trouble and not worse and not lesson.others
    return Level.READY if good else Level.NOTE, "\n".join(lines)


def _others(lesson: Lesson) -> list[str]:
    if not lesson.others:
        return []
    values = ", ".join(map(str, sorted(lesson.others)[:5]))
    return [f"No class has the value {values}: such strokes count for nothing."]


def _figures(lesson: Lesson) -> list[str]:
    job = lesson.job
    if not job.steps or job.mean_iou is None:
        return []
    state = "paused" if lesson.paused else "waiting for strokes" if job.resting else "learning"
    lines = [
        f"{job.steps:,} steps, loss {job.loss:.3f}, {state}",
        f"IoU on strokes {job.mean_iou:.2f}; of one class everywhere {job.constant:.2f}",
    ]
    if lesson.waiting is not None:
        lines.append(f"Last stroke {lesson.waiting:.0f} s ago")
    elif lesson.lag is not None:
        lines.append(f"Shown {lesson.lag:.1f} s after the stroke")
    return lines
