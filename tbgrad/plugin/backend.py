"""The TensorBoard plugin: a route parses its request, a function of `views` answers with data."""

from __future__ import annotations

import logging
from functools import partial
from operator import itemgetter
from typing import Any

from tensorboard import plugin_util
from tensorboard.context import RequestContext
from tensorboard.errors import PublicError
from tensorboard.plugins import base_plugin
from werkzeug import wrappers

from tbgrad.log.tags import (
    ALERT_PLUGIN_NAME,
    HISTOGRAM_PLUGIN_NAME,
    PLUGIN_NAME,
    STEP_LEVELS_PLUGIN_NAME,
    STEPS_PLUGIN_NAME,
)
from tbgrad.plugin import answer, assets, binary
from tbgrad.plugin.arguments import BadRequestError, parsed
from tbgrad.plugin.responses import (
    ASK_AGAIN,
    FOR_GOOD,
    etag_of,
    refused,
    respond,
    respond_json,
    respond_whole,
    unchanged,
)
from tbgrad.plugin.routes import ROUTES, Route
from tbgrad.plugin.samples import UnknownNameError
from tbgrad.plugin.source import LogSource, Snapshot
from tbgrad.plugin.views import run

_log = logging.getLogger(__name__)


class GradientsPlugin(base_plugin.TBPlugin):  # type: ignore[misc]
    """Serves the tab's files and its data; see `http_api.md` for the routes."""

    plugin_name = PLUGIN_NAME

    def __init__(self, context: Any) -> None:
        self._source = LogSource(
            context.data_provider, context.sampling_hints, context.logdir or ""
        )
        self._files = assets.static_files()
        self._version = assets.hash_of(self._files)

    def get_plugin_apps(self) -> dict[str, Any]:
        """The WSGI application of each route."""
        apps: dict[str, Any] = {
            f"/{name}": _data_app(self._source, name, route, self._version)
            for name, route in ROUTES.items()
        }
        apps["/plotly.min.js"] = _plotly_script_app
        # One exact route a file: no path of a request is ever joined to a directory.
        for name, file in self._files.items():
            apps[f"/static-{self._version}/{name}"] = _file_app(file, FOR_GOOD)
            apps[f"/static/{name}"] = _file_app(file, ASK_AGAIN)
        return apps

    def is_active(self) -> bool:
        """Whether any run has data of ours; TensorBoard greys the tab out where none has."""
        try:
            return run.is_active(self._source.snapshot(RequestContext(), ""))
        except Exception:  # noqa: BLE001 - a provider that is not up yet must not break the page
            return False

    def data_plugin_names(self) -> tuple[str, ...]:
        """Data of these plugins makes the tab active."""
        return (
            PLUGIN_NAME, HISTOGRAM_PLUGIN_NAME, ALERT_PLUGIN_NAME, STEPS_PLUGIN_NAME,
            STEP_LEVELS_PLUGIN_NAME,
        )  # fmt: skip

    def frontend_metadata(self) -> Any:
        """Where the tab's module is, and what the tab is called."""
        # Modules name one another by relative paths: with the first of them all are versioned.
        path = f"/static-{self._version}/index.js"
        return base_plugin.FrontendMetadata(
            es_module_path=path, tab_name="Gradients", remove_dom=False
        )


@wrappers.Request.application
def _plotly_script_app(request: Any) -> Any:
    if (refusal := refused(request)) is not None:
        return refusal
    script = assets.plotly_gzipped()
    if script is None:
        said = {"error": "the Python package plotly is not installed"}
        return respond_json(request, said, 404)
    etag = etag_of([assets.plotly_version()])
    # The page asks for it with the version in the query, so it may be kept.
    caching = FOR_GOOD if request.args.get("version") == assets.plotly_version() else ASK_AGAIN
    if (same := unchanged(request, etag)) is not None:
        return same
    return respond(request, script, "text/javascript", etag=etag, caching=caching, gzipped=True)


def _file_app(file: assets.Static, caching: str) -> Any:
    @wrappers.Request.application
    def app(request: Any) -> Any:
        if (refusal := refused(request)) is not None:
            return refusal
        if (same := unchanged(request, file.etag)) is not None:
            return same
        return respond(
            request, file.gzipped, file.content_type, etag=file.etag, caching=caching, gzipped=True
        )

    return app


def _data_app(source: LogSource, name: str, route: Route, version: str) -> Any:
    """The WSGI application of a route: its data, and what goes wrong as one sentence."""

    def answered(request: Any) -> Any:
        arguments = parsed(request.args, route.arguments)
        environ = request.environ
        snapshot = source.snapshot(plugin_util.context(environ), plugin_util.experiment_id(environ))
        if route.looks:
            snapshot.expect()
        etag = None
        if route.series:
            revisions = _revisions(snapshot, route, arguments)
            etag = etag_of([version, name, sorted(arguments.items(), key=itemgetter(0)), revisions])
            if (same := unchanged(request, etag)) is not None:
                return same
        make = partial(_written, route, snapshot, arguments)
        body = make() if route.is_light else source.pool.submit(make).result()
        form = binary.CONTENT_TYPE if arguments.get("form") == "binary" else "application/json"
        return respond_whole(request, body, form, etag)

    @wrappers.Request.application
    def app(request: Any) -> Any:
        if (refusal := refused(request)) is not None:
            return refusal
        try:
            return answered(request)
        except BadRequestError as error:
            return respond_json(request, {"error": str(error)}, 400)
        except UnknownNameError as error:
            return respond_json(request, {"error": str(error.args[0])}, 404)
        except PublicError as error:
            return respond_json(request, {"error": str(error)}, error.http_code)
        except Exception as error:  # noqa: BLE001 - the tab shows it, TensorBoard's page lives on
            _log.exception("tbgrad: %s failed", request.path)
            reason = f"{type(error).__name__}: {error}".splitlines()[0][:300]
            said = {"error": f"reading the log failed ({reason})"}
            return respond_json(request, said, 500)

    return app


def _written(route: Route, snapshot: Snapshot, arguments: dict[str, Any]) -> bytes:
    """An answer as bytes."""
    content = route.view(snapshot, **arguments)
    if arguments.get("form") == "binary":
        return binary.with_arrays(*binary.parted(content))
    return answer.as_json(content).encode()


def _revisions(snapshot: Snapshot, route: Route, arguments: dict[str, Any]) -> str:
    """Changes with the series that a route is about."""
    run = arguments["run"]
    names = [*(run if isinstance(run, tuple) else [run]), *filter(None, [arguments.get("other")])]
    return answer.digest(
        f"{name} {plugin} {tag} {extent.revision}"
        for name in names
        for plugin in route.series
        for tag, extent in snapshot.extents(plugin, snapshot.place(name)).items()
    )
