"""What TensorBoard's start-up calls: how much of a log to keep, and the plugin itself."""

from __future__ import annotations

from typing import Any

from tensorboard.plugins import base_plugin

from tbgrad.plugin.sampling import samples_for


class Loader(base_plugin.TBLoader):  # type: ignore[misc]
    """Creates the plugin; see TensorBoard's `TBLoader`."""

    def fix_flags(self, flags: Any) -> None:
        """Raise the number of records TensorBoard keeps, where the user did not choose one."""
        samples = getattr(flags, "samples_per_plugin", None)
        if isinstance(samples, dict):
            for name, count in samples_for(getattr(flags, "logdir", "") or "").items():
                samples.setdefault(name, count)

    def load(self, context: Any) -> Any:
        """The plugin for this TensorBoard; None where it has no data provider to read from."""
        if context.data_provider is None:
            return None
        from tbgrad.plugin.backend import GradientsPlugin

        return GradientsPlugin(context)
