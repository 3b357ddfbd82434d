"""`GradientSummaryWriter`: the monitor for training loops of one's own."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from tbgrad.diagnosis import AlertSettings
from tbgrad.diagnosis.needs import OF_LOSS, silent
from tbgrad.keras import replicas
from tbgrad.keras.arguments import check_gradients, check_optimizer
from tbgrad.keras.attachment import Attachment
from tbgrad.keras.curvature import Curvature, CurvatureProbe
from tbgrad.keras.drain_thread import drain_until, shut
from tbgrad.keras.gfile import storage_of
from tbgrad.keras.optimizers import updates_done
from tbgrad.log import encode
from tbgrad.log.analyses import Analysis, as_analysis, checked_name
from tbgrad.log.records import Alert, CurvatureEstimate
from tbgrad.log.state import FINISHED, Hyperparameter
from tbgrad.monitoring.arguments import (
    check_alerts,
    check_cadence,
    check_group,
    check_hparams,
    check_logdir,
    check_megabytes,
    check_on_alert,
    check_selection,
)
from tbgrad.monitoring.cadence import SHORTEST, Cadences, dense_at_first, histograms_with
from tbgrad.monitoring.run_log import RunLog
from tbgrad.monitoring.state_log import Ending, ending_of


class GradientSummaryWriter:
    """Logs what the gradients of `variables` do, from a custom training loop.

    Args:
        logdir: directory of the run, which is created; also one that TensorFlow can write and
            Python cannot, such as `gs://bucket/runs/a`, where the log is seen to grow every 30 s.
            A loop that begins at step 0 where there is a log already is logged in `runs/a-2`, and
            so on.
        variables: the trainable variables (Keras or `tf.Variable`), one row of statistics each.
        optimizer: the Keras optimizer of the loop. With it, the log has the learning rate, the
            effect of clipping and the size of the updates too.
        every: steps between two with all statistics; by default each of the first ten and then
            every 10th. The loss, the learning rate and the norm of every parameter's gradient are
            logged at every step whatever this is. A mapping is a schedule: `{0: 1, 1000: 10}` logs
            all of each of the first 1,000 steps and of every 10th from there on.
        histograms_every: steps between two histograms of the gradients; by default 10 · `every`; of
            the first thousand steps every 100th and the 1st, 5th and 10th where that is not given
            either.
        start_step: number of updates already done; the optimizer's own count by default.
        include, exclude: patterns of parameter paths, one or several, as of file names in a shell:
            `include="*/kernel"`. Parameters that are not included, or are excluded, are not
            observed at all; the global norm is of the others. By default all are.
        on_alert: called with a `tbgrad.Alert` when one opens and when it closes, in a
            thread, so that it may take its time.
        alerts: a `tbgrad.AlertSettings`, or the path of a TOML file of them: from what on the rules
            raise an alert, and which are silenced, where.
        group: name of these parameters in the run, for several writers that write to one `logdir`:
            the generator and the discriminator of a GAN. Tags begin with it (`generator/loss`), and
            the tab, the terminal app and `tbgrad.read` show each group as a run of its own.
        hparams: hyperparameters by name: see `GradientMonitor`.
        megabytes_per_minute: what every step may take in the log: see `GradientMonitor`.

    The log is written by a thread that looks at the device every two seconds; the loop itself never
    waits. Use it as a context manager, or call `close` at the end. Whatever fails while training
    becomes one warning and a note in the log, and training goes on.

    Raises:
        ValueError: `variables` is empty or none of them is included, a cadence is not a whole
            number from 1 on, or a schedule does not begin at step 0.
        TypeError: `optimizer` is not one of Keras 3, or a pattern or `hparams` is of another kind.
        NotADirectoryError: `logdir` is a file.
        OSError: `logdir` cannot be created.

    Example::

        with tbgrad.GradientSummaryWriter(
            "runs/b", model.trainable_variables, optimizer=optimizer
        ) as writer:

            @tf.function
            def train_step(x, y):
                with tf.GradientTape() as tape:
                    loss = loss_fn(y, model(x, training=True))
                gradients = tape.gradient(loss, model.trainable_variables)
                writer.observe(gradients, loss=loss)
                optimizer.apply(gradients, model.trainable_variables)

            for x, y in dataset:
                train_step(x, y)
    """

    def __init__(
        self,
        logdir: str | Path,
        variables: Sequence[Any],
        *,
        optimizer: Any = None,
        every: int | Mapping[int, int] | None = None,
        histograms_every: int | Mapping[int, int] | None = None,
        start_step: int | None = None,
        include: str | Sequence[str] | None = None,
        exclude: str | Sequence[str] | None = None,
        on_alert: Callable[[Alert], object] | None = None,
        alerts: AlertSettings | str | Path | None = None,
        group: str = "",
        hparams: Mapping[str, Hyperparameter] | None = None,
        megabytes_per_minute: float = 1.0,
    ) -> None:
        check_optimizer(optimizer)
        done = updates_done(optimizer) if start_step is None else start_step
        cadence = dense_at_first(SHORTEST) if every is None else check_cadence("every", every)
        directory = check_logdir(logdir)
        log = RunLog(
            directory,
            Cadences(
                cadence,
                histograms_with(cadence)
                if histograms_every is None
                else check_cadence("histograms_every", histograms_every),
            ),
            group=check_group(group),
            on_alert=check_on_alert(on_alert),
            alerts=check_alerts(alerts),
            storage=storage_of(directory),
            bytes_per_minute=1e6 * check_megabytes(megabytes_per_minute),
            hparams=check_hparams(hparams),
        )
        self._attachment = Attachment(
            log,
            optimizer=optimizer,
            selection=check_selection(include, exclude),
            counted=lambda: done,
        )
        self._variables = list(variables)
        self._grouped = bool(group)
        self._probe: CurvatureProbe | None = None
        self._step = 0
        if replicas.writes_summaries(self._variables):
            replicas.outside_tracing(self._attachment.observer_for, self._variables)
            self._attachment.begin()
        self._attachment.attach()
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=drain_until,
            args=(self._stop, self._attachment),
            name="tbgrad-drain",
            daemon=True,
        )
        self._thread.start()
        self._close = weakref.finalize(self, shut, self._stop, self._thread, self._attachment)

    @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
    def observe(self, gradients: Iterable[Any], *, loss: Any = None) -> None:
        """Take in the gradients of one step, in the order of `variables`; None where there is none.

        Call it in the training step (in a `tf.function`, under XLA, or eagerly) before
        `optimizer.apply`. Nothing waits for the host. Pairs of gradients and variables, as for
        `optimizer.apply_gradients`, may come in any order.

        Raises:
            ValueError: the gradients do not belong to the variables, by number or by shape.
        """
        checked = check_gradients(gradients, self._variables)
        self._attachment.observe(checked, self._variables, loss)

    def curvature(
        self, loss: Callable[[], Any], settings: Curvature | None = None, *, samples: int = 0
    ) -> CurvatureEstimate | None:
        """Estimate the curvature of a loss where that is due; call it between any two steps.

        Args:
            loss: callable without arguments that returns the loss of the `variables` on a fixed
                batch, as a scalar tensor; see `tbgrad.hessian.HessianOperator`. That of the first
                call counts.
            settings: how often, how much and what, `tbgrad.Curvature()` by default; its `every`
                counts calls.
            samples: how many samples the loss is of, for the log; 0 where that is not known.

        Returns:
            The estimate, which is in the log, too; None where none is due. The last one is made
            by `close`, after the last step.

        A failure becomes one warning and a note in the log, as everywhere.

        Example::

            writer.curvature(lambda: loss_fn(y_probe, model(x_probe, training=False)))
        """
        if self._probe is None:
            made = loss, self._variables
            chosen = settings or Curvature()
            self._probe = CurvatureProbe(chosen, lambda: made, self._attachment, samples)
            self._step = self._attachment.step
        due = self._probe.due(self._step, time.monotonic())
        self._step += 1
        return self._probe.estimate() if due else None

    def trajectory(self, exact: bool = False) -> None:
        """Log where the weights are, where that is due; call it between any two steps.

        When and how it is logged: see `GradientMonitor`, whose `trajectory="exact"` is `exact`.
        """
        self._attachment.log_trajectory(exact)
        if self._attachment.place_due(self._attachment.step):
            self._attachment.take_place()

    def log_analysis(self, analysis: Analysis, name: str = "") -> None:
        """Log what `tbgrad.analysis` found of the weights as they are now, between two steps."""
        named = checked_name(analysis, name)
        self._attachment.log_value(encode.analysis(named, as_analysis(analysis)))

    def validation_loss(self, loss: Any) -> None:
        """Log the loss on data that is not trained on, at the newest step, as `val_loss`.

        What `fit` does by itself; the rule `overfitting` looks at it.

        Raises:
            TypeError, ValueError: `loss` is not a single number.

        Example::

            writer.validation_loss(loss_fn(y_validation, model(x_validation)))
        """
        number = float(loss)
        self._attachment.drain()
        self._attachment.add_validation_loss(number)

    @property
    def latest(self) -> Mapping[str, Any] | None:
        """The newest logged step that was written, None before there is one.

        A mapping from `step`, `loss`, `gradient/norm` and the other tags of the log to numbers, and
        from `parameters` to every statistic of every parameter by name.
        """
        return self._attachment.log.latest

    @property
    def directory(self) -> str | Path:
        """Where it logs: `logdir`, or that with a number behind it."""
        return self._attachment.log.directory

    def flush(self) -> None:
        """Bring everything observed so far to disk."""
        self._attachment.drain()
        self._attachment.log.flush()

    def close(self) -> None:
        """Write what is left, give the optimizer back, and close the file. Twice does nothing.

        Ahead of that it makes the last estimate of the curvature, where there were others.
        """
        if self._close.alive:
            if self._probe is not None:
                self._probe.end()
            self._attachment.take_place()
            self._attachment.drain()
            self._tell_unseen()
            self._attachment.log.state.end(Ending(FINISHED))
        self._close()

    def _tell_unseen(self) -> None:
        """Say what could not be seen, and which rules were silent for it."""
        if not replicas.writes_summaries(self._variables):
            return  # another worker does
        attachment, log = self._attachment, self._attachment.log
        if attachment.seen:
            sentence = silent(OF_LOSS, log.logged)
            if sentence and not self._grouped:
                log.note(sentence)
        elif not attachment.skipped:
            early = (
                ", and make the writer before that is called for the first time: it is traced then"
            )
            log.note(
                "no step was seen: call writer.observe(gradients, loss=loss) in the training step"
                + (early if attachment.optimizer is not None else "")
            )

    def __enter__(self) -> GradientSummaryWriter:
        return self

    def __exit__(self, *exception: Any) -> None:
        if exception and exception[0] is not None:
            self._attachment.log.state.end(ending_of(exception[1]))
            self._close()  # and nothing that takes its time
        else:
            self.close()
