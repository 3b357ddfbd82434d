"""`GradientMonitor`, the Keras callback: its arguments and its hooks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from tbgrad.diagnosis import AlertSettings, Record
from tbgrad.keras.arguments import check_optimizer
from tbgrad.keras.curvature import Curvature
from tbgrad.keras.fit_call import Callback
from tbgrad.keras.fit_session import FitSession
from tbgrad.keras.sensitivity import Sensitivity
from tbgrad.keras.settings import Settings
from tbgrad.keras.supported import foreign
from tbgrad.log import encode
from tbgrad.log.analyses import Analysis, as_analysis, checked_name
from tbgrad.log.records import Alert
from tbgrad.log.state import Hyperparameter
from tbgrad.monitoring.arguments import (
    check_alerts,
    check_cadence,
    check_group,
    check_hparams,
    check_logdir,
    check_megabytes,
    check_on_alert,
    check_rules,
    check_selection,
)
from tbgrad.monitoring.sentences import logger
from tbgrad.monitoring.trajectory import check_trajectory


class GradientMonitor(Callback):
    """Logs what the gradients and the curvature of a model do while `model.fit` trains it.

    Works with plain `fit` and with custom `train_step`s that apply gradients through
    `self.optimizer`, compiled by XLA or not, eagerly, and with `steps_per_execution`. The
    statistics are computed inside the training step, on its device; what is logged is written by a
    thread. Training gives the same result with and without it, and any failure of the monitor
    becomes one warning and a note in the log, while training goes on.

    Args:
        logdir: directory of the run, which is created; also one that TensorFlow can write and
            Python cannot, such as `gs://bucket/runs/a`, where the log is seen to grow every 30 s.
            A second `fit` of the model, or one from a checkpoint with the optimizer's count,
            continues the run. A training that begins anew where there is a log already, as the next
            trial of a search or fold of a validation, is logged in `runs/a-2`, and so on; a copy of
            the monitor is as good as the monitor.
        every: steps between two with all statistics. The loss, the learning rate and the norm of
            every parameter's gradient are logged at every step whatever this is. By default each of
            the first ten, and then every 10th or as many more as keep the time that these steps
            take within `overhead`: about the first hundred are timed in turns with and without. A
            mapping is a schedule: `{0: 1, 1000: 10}` logs all of each of the first 1,000 steps and
            of every 10th from there on.
        histograms_every: steps between two histograms of the gradients, as a number or a schedule;
            by default 10 · `every`; of the first thousand steps every 100th and the 1st, 5th and
            10th where that is not given either.
        curvature: a `tbgrad.Curvature`, for periodic estimates of the extreme Hessian eigenvalues;
            None for none.
        overhead: share of the training time that steps with all statistics may take where `every`
            is not given. Curvature is not part of it, nor the norms of every step.
        include, exclude: patterns of parameter paths, one or several, as of file names in a shell:
            `include="*/kernel"`. Parameters that are not included, or are excluded, are not
            observed at all; the global norm is of the others. By default all are.
        on_alert: called with a `tbgrad.Alert` when one opens and when it closes, in a
            thread, so that it may take its time.
        alerts: a `tbgrad.AlertSettings`, or the path of a TOML file of them: from what on the rules
            raise an alert, and which are silenced, where.
        stop_on: names of rules whose alert ends the training: `{"nonfinite", "loss_diverging"}`.
            `fit` then returns as with `EarlyStopping`; the log and one warning say why. A loss that
            is not finite any more has diverged, too.
        optimizer: the optimizer to watch where it is not `model.optimizer`, as in a model that has
            two of them.
        group: name of these parameters in the run, for several monitors that write to one `logdir`:
            the generator and the discriminator of a GAN. Tags begin with it (`generator/loss`), and
            the tab, the terminal app and `tbgrad.read` show each group as a run of its own.
        hparams: hyperparameters by name, numbers, strings or booleans: `hparams={"width": 128}`.
            They are in the report and in TensorBoard's HParams tab.
        megabytes_per_minute: what the loss and the norms of every step may take in the log in the
            long run, besides a reserve at first; 2 GB in all. Where they would take more they are
            kept as smallest, mean and largest of windows of steps, which the log says.
        trajectory: whether to log where the weights are: at each of the first 32 steps, then 32
            times each time the number of steps doubles. Up to 4,096 weights are logged as they are;
            of more, a sketch of each layer, 8,192 numbers in all, which keeps distances to within a
            few percent (`tbgrad.analysis.trajectories` reads them). "exact" logs all of up to a
            million weights.
        sensitivity: a `tbgrad.Sensitivity`, for pictures of which inputs move the loss, in
            TensorBoard's own tab of images; None for none.

    Raises:
        ValueError: a cadence is not a whole number from 1 on, a schedule does not begin at step 0,
            `overhead` is not above 0, `group` has a `/`, `curvature` has no data, or `trajectory`
            is neither a truth value nor "exact".
        TypeError: `curvature` is not a `tbgrad.Curvature`, or `sensitivity` a
            `tbgrad.Sensitivity`, `optimizer` is not one of Keras 3, a
            pattern is not a string, or `hparams` are of another kind.
        NotADirectoryError: `logdir` is a file.

    Example::

        monitor = tbgrad.GradientMonitor("runs/a", every=10)
        model.fit(x, y, callbacks=[monitor])
    """

    def __init__(
        self,
        logdir: str | Path,
        every: int | Mapping[int, int] | None = None,
        histograms_every: int | Mapping[int, int] | None = None,
        curvature: Curvature | None = None,
        overhead: float = 0.01,
        include: str | Sequence[str] | None = None,
        exclude: str | Sequence[str] | None = None,
        on_alert: Callable[[Alert], object] | None = None,
        alerts: AlertSettings | str | Path | None = None,
        stop_on: Iterable[str] = (),
        optimizer: Any = None,
        group: str = "",
        hparams: Mapping[str, Hyperparameter] | None = None,
        megabytes_per_minute: float = 1.0,
        trajectory: bool | Literal["exact"] = False,
        sensitivity: Sensitivity | None = None,
    ) -> None:
        super().__init__()
        self._arguments = {
            name: value for name, value in locals().items() if name not in ("self", "__class__")
        }
        if curvature is not None and not isinstance(curvature, Curvature):
            raise TypeError(
                f"curvature is a tbgrad.Curvature, not {type(curvature).__name__}: "
                "write curvature=tbgrad.Curvature(data=(x, y))"
            )
        if sensitivity is not None and not isinstance(sensitivity, Sensitivity):
            raise TypeError(
                f"sensitivity is a tbgrad.Sensitivity, not {type(sensitivity).__name__}: "
                "write sensitivity=tbgrad.Sensitivity((x, y))"
            )
        if curvature is not None and curvature.data is None:
            raise ValueError("curvature needs data to be of: tbgrad.Curvature(data=(x, y))")
        self.logdir = check_logdir(logdir)
        if not overhead > 0:
            raise ValueError(f"overhead is a share of the training time above 0, not {overhead!r}")
        self.every = None if every is None else check_cadence("every", every)
        self.histograms_every = (
            None
            if histograms_every is None
            else check_cadence("histograms_every", histograms_every)
        )
        self.curvature = curvature
        self.overhead = overhead
        self._listeners: list[Callable[[Record], None]] = []
        self._session = FitSession(
            Settings(
                logdir=self.logdir,
                every=self.every,
                histograms_every=self.histograms_every,
                curvature=curvature,
                overhead=overhead,
                selection=check_selection(include, exclude),
                on_alert=check_on_alert(on_alert),
                alerts=check_alerts(alerts),
                stop_on=check_rules("stop_on", stop_on),
                optimizer=check_optimizer(optimizer),
                group=check_group(group),
                hparams=check_hparams(hparams),
                megabytes_per_minute=check_megabytes(megabytes_per_minute),
                trajectory=check_trajectory(trajectory),
                sensitivity=sensitivity,
            ),
            self._listeners,
        )
        self._own = frozenset(vars(self)) | {"_own", "_model", "model", "params"}

    @property
    def latest(self) -> Mapping[str, Any] | None:
        """The newest logged step that was written, None before there is one.

        A mapping from `step`, `loss`, `gradient/norm` and the other tags of the log to numbers, and
        from `parameters` to every statistic of every parameter by name.
        """
        log = self._session.log
        return None if log is None else log.latest

    @property
    def directory(self) -> str | Path:
        """Where the newest training is logged: `logdir`, or that with a number behind it."""
        log = self._session.log
        return self.logdir if log is None else log.directory

    def log_analysis(self, analysis: Analysis, name: str = "") -> None:
        """Log what `tbgrad.analysis` found of the model as it is now, between two steps of `fit`.

        See `tbgrad.analysis.log_analysis`, which logs it when the training is over.
        """
        made = encode.analysis(checked_name(analysis, name), as_analysis(analysis))
        if self._session.begun:
            self._session.guard(self._session.log_value, made)

    def listen(self, function: Callable[[Record], None]) -> None:
        """Call a function with every logged step, soon after it, on the writer's thread."""
        self._listeners.append(function)

    def unlisten(self, function: Callable[[Record], None]) -> None:
        """Call it no more."""
        if function in self._listeners:
            self._listeners.remove(function)

    def __deepcopy__(self, memo: object) -> GradientMonitor:
        """A monitor with the same settings, for another training."""
        return _again(type(self), self._arguments, self._of_subclasses)

    def __reduce__(self) -> Any:
        return _again, (type(self), self._arguments, self._of_subclasses)

    @property
    def _of_subclasses(self) -> dict[str, Any]:
        """What a subclass has set."""
        return {name: value for name, value in vars(self).items() if name not in self._own}

    # Only `..._batch_begin` is overridden: a callback with an `..._batch_end` makes Keras wait for
    # the results of every single step.

    def on_train_begin(self, logs: Any = None) -> None:
        """Attach to the model's optimizer."""
        if sentence := foreign(self.model, "model"):
            logger.warning("tbgrad: this training is not monitored, and goes on. %s", sentence)
            return
        session = self._session
        session.guard(session.attach, self.model, (self.params or {}).get("epochs"))

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Read the true step, which the count of batches may have missed at an epoch's end."""
        if self._session.active:
            self._session.guard(self._session.begin_epoch, epoch)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Between two steps: drain and estimate the curvature, where due."""
        session = self._session
        if session.active and not session.begun:
            # No sooner: callbacks behind this one may load a checkpoint as training begins.
            session.guard(session.begin)
        if session.begun:
            session.guard(session.between_steps, batch)

    def on_test_begin(self, logs: Any = None) -> None:
        """Show what training did so far before a validation, which may take long."""
        if self._session.begun:
            self._session.guard(self._session.pause, "validation")

    def on_test_end(self, logs: Any = None) -> None:
        """The validation is over."""
        if self._session.begun:
            self._session.guard(self._session.pause)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Bring the epoch's last steps into the log, and the loss of a validation."""
        if self._session.begun:
            self._session.guard(self._session.end_epoch, epoch, logs or {})

    def on_train_end(self, logs: Any = None) -> None:
        """Estimate the final curvature, close the event file and leave no trace on the model."""
        if self._session.active:
            self._session.guard(self._session.finish)
            self._session.leave(finished=True)


def _again(kind: type[GradientMonitor], arguments: Any, others: Any) -> GradientMonitor:
    """A monitor of this class as it was made, without what it has seen since."""
    monitor = object.__new__(kind)
    monitor.__dict__.update(others)
    GradientMonitor.__init__(monitor, **arguments)
    return monitor
