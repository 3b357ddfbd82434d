"""What the writer and every face say of two runs, in a process of its own: see `said_in`.

The one is watched by the monitor, the other is a log of scalars, of which its writer said nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
STEPS = 40


def said_in(package: Path, logdir: Path) -> dict[str, Any]:
    """What `python -m` this module says with the `tbgrad` and `tbgrad_tui` of this directory."""
    path = os.pathsep.join(map(str, (package, package / "tui", ROOT)))
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.added_rule", str(logdir)],
        cwd=package,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    assert Path(said["package"]).is_relative_to(package)
    return said


def _write(logdir: Path) -> list[float]:
    """Both runs; the gradient norms of that which is watched."""
    from tbgrad.log import encode
    from tbgrad.log.append import EventFileWriter
    from tbgrad.log.tags import GRADIENT_NORM
    from tests.monitoring.test_tapped_run import train

    norms = train(logdir / "watched", STEPS)
    with EventFileWriter(logdir / "plain") as writer:
        for step, norm in enumerate(norms, 1):
            writer.add(step, [encode.scalar(GRADIENT_NORM, norm)])
    return norms


def _logged(logdir: Path) -> list[dict[str, Any]]:
    import tbgrad

    told = tbgrad.read(logdir)["watched"].get("tbgrad/alerts")
    return [asdict(alert) for alerts in (told.values if told else ()) for alert in alerts]


def _reported(logdir: Path) -> Any:
    from tbgrad.commands.main import main

    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        main(["report", str(logdir), "--json", "--run", "plain"])
    return json.loads(text.getvalue())["runs"]["plain"]["alerts"]


def _served(logdir: Path) -> Any:
    from tests.plugin.conftest import Api, python_provider

    return Api(python_provider(logdir)).get("alerts", run="plain")


async def _shown(logdir: Path) -> str:
    from tbgrad_tui.screens.alerts import AlertsPage

    from tests.tui.support import app_on, loaded, shown, until

    app = app_on(logdir / "plain")
    async with app.run_test(size=(160, 60)) as pilot:
        await loaded(pilot)
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, AlertsPage) and shown(app))
        return shown(app)


def main(logdir: Path) -> None:
    """Print what was said as JSON."""
    import tbgrad

    said = {
        "package": tbgrad.__file__,
        "norms": _write(logdir),
        "logged": _logged(logdir),
        "reported": _reported(logdir),
        "served": _served(logdir),
        "shown": asyncio.run(_shown(logdir)),
    }
    print(json.dumps(said))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
