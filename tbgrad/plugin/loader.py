"""What TensorBoard's start-up calls: how much of a log to keep, and the plugin itself."""

from __future__ import annotations

from typing import Any

from tensorboard.plugins import base_plugin

from tbgrad.log.tags import (
    ALERT_PLUGIN_NAME,
    HISTOGRAM_PLUGIN_NAME,
    PLUGIN_NAME,
    STATE_PLUGIN_NAME,
    STEP_LEVELS_PLUGIN_NAME,
    STEPS_PLUGIN_NAME,
    TRAJECTORY_PLUGIN_NAME,
)

SAMPLES = {
    PLUGIN_NAME: 2000,
    HISTOGRAM_PLUGIN_NAME: 200,
    ALERT_PLUGIN_NAME: 0,
    STEPS_PLUGIN_NAME: 16,
    STEP_LEVELS_PLUGIN_NAME: 300,
    STATE_PLUGIN_NAME: 20,
    TRAJECTORY_PLUGIN_NAME: 128,
    "scalars": 5000,
}
"""Records TensorBoard keeps per tag, unless `--samples_per_plugin` says otherwise.

Its defaults (10 in Python, 100 in the data server, 1000 scalars) keep a random choice, which loses
the very spike one is looking for. 2000 packed records are more than a screen has columns and cost
20 MB for 200 parameters; a packed histogram is ten times larger and is looked at one at a time, so
200 of them; scalars are 16 bytes each. 0 is all of them: each telling of an alert counts. Of the
state of a run the newest counts, which is always kept. Of blocks of single steps the newest and
some others are kept, all of the first 4,096 steps. Of each coarser level, whose blocks have four
windows, 1,200 windows are kept: so one of the levels is whole and has 280 or more, however long the
run, at about 2 MB a level for 200 parameters.
"""


class Loader(base_plugin.TBLoader):  # type: ignore[misc]
    """Creates the plugin; see TensorBoard's `TBLoader`."""

    def fix_flags(self, flags: Any) -> None:
        """Raise the number of records TensorBoard keeps, where the user did not choose one."""
        samples = getattr(flags, "samples_per_plugin", None)
        if isinstance(samples, dict):
            for name, count in SAMPLES.items():
                samples.setdefault(name, count)

    def load(self, context: Any) -> Any:
        """The plugin for this TensorBoard; None where it has no data provider to read from."""
        if context.data_provider is None:
            return None
        from tbgrad.plugin.backend import GradientsPlugin

        return GradientsPlugin(context)
