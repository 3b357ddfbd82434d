"""The palette of everything that a key does on the screen in front."""

from __future__ import annotations

from functools import partial

from textual.command import DiscoveryHit, Hit, Hits, Provider


class KeyCommands(Provider):
    """What the keys of the screen do, in the words of the help."""

    def _known(self) -> dict[str, tuple[str, str]]:
        """By action: what it does, and its key."""
        known: dict[str, tuple[str, str]] = {}
        for active in self.screen.active_bindings.values():
            binding = active.binding
            if binding.description:
                known.setdefault(binding.action, (binding.description, binding.key))
        return known

    async def discover(self) -> Hits:
        """All, before anything is typed."""
        for action, (does, key) in self._known().items():
            yield DiscoveryHit(does, partial(self._do, action), help=f"key: {key}")

    async def search(self, query: str) -> Hits:
        """Those whose words are like what was typed."""
        matcher = self.matcher(query)
        for action, (does, key) in self._known().items():
            if (score := matcher.match(does)) > 0:
                shown = matcher.highlight(does)
                yield Hit(score, shown, partial(self._do, action), help=f"key: {key}")

    async def _do(self, action: str) -> None:
        await self.app.run_action(action, self.screen)
