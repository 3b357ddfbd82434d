/** Axes: what suits values, and ticks that are round, distinct and few. */

import assert from "node:assert/strict";
import test from "node:test";
import { constant, extent, linearAxis, logAxis, logTicks, plainTicks, stepLabel, suitsLog, withoutOutliers } from "../../../tbgrad/plugin/static/pure/axes.js";

test("a constant looks like itself, whatever its size", () => {
  for (const [value, label] of [[3e-4, "3×10⁻⁴"], [0.1, "0.1"], [0, "0"], [-2e6, "−2×10⁶"]]) {
    const axis = linearAxis([value, value, null]);
    assert.deepEqual([axis.tickvals, axis.ticktext], [[value], [label]]);
    const [low, high] = axis.range;
    assert.ok(low < value && value < high);
    if (value) assert.ok(high - low <= 2 * Math.abs(value), `${low} ${high}`);
  }
  assert.equal(constant([1, 1 + 1e-9]), 1 + 1e-9);
  assert.equal(constant([1, 1.1]), null);
  const { range, ticktext } = logAxis([3e-4, 3e-4]);
  assert.deepEqual(ticktext, ["3×10⁻⁴"]);
  assert.ok(range[0] < Math.log10(3e-4) && range[1] > Math.log10(3e-4));
});

test("a logarithmic axis suits positive values more than 20 times apart", () => {
  assert.equal(suitsLog([1, 20.5]), true);
  assert.equal(suitsLog([1, 20]), false);
  assert.equal(suitsLog([0, 100]), false);
  assert.equal(suitsLog([-1, 100]), false);
  assert.equal(suitsLog([]), false);
});

test("ticks lie within, rise, and are no more than asked for", () => {
  for (const [low, high] of [[0, 1], [-3, 17], [0.5, 1.5], [1e-9, 2e-9], [0, 123456]]) {
    for (const most of [1, 2, 3, 5, 9]) {
      const ticks = plainTicks(low, high, most);
      assert.ok(ticks.length <= most + 1, `${low} ${high} ${most}: ${ticks}`);
      assert.ok(ticks.every((v, i) => v >= low - 1e-9 && v <= high * (1 + 1e-9) && (i === 0 || v > ticks[i - 1])));
    }
  }
  assert.ok(plainTicks(0.5, 1.5, 6, true).every(Number.isInteger));
  assert.deepEqual(plainTicks(0.5, 1.5, 6, true), [1]);
  assert.ok(!plainTicks(-0.5, 5, 6).some((v) => Object.is(v, -0)));
});

test("between powers of ten there are the numbers that people count in", () => {
  assert.deepEqual(logTicks(0, 1, 6).map(([, label]) => label), ["1", "3", "10"]);
  assert.deepEqual(logTicks(-1, 2, 6).map(([, label]) => label), ["0.1", "1", "10", "100"]);
});

test("labels of a logarithmic scale are distinct at every zoom", () => {
  for (const [low, high] of [[-8, 5], [0, 1], [-0.1, 0.1], [2.301, 2.302], [-4, -3.4], [-12, 30]]) {
    const ticks = logTicks(low, high, 6);
    const labels = ticks.map(([, label]) => label);
    assert.equal(new Set(labels).size, labels.length, labels.join(" "));
    assert.ok(ticks.length > 0 && ticks.length <= 8, `${low} ${high}: ${labels}`);
  }
});

test("outliers are as in the terminal: beyond twice the range of the inner nine tenths", () => {
  const values = Array.from({ length: 99 }, (_, i) => 1 + i / 98);
  assert.equal(withoutOutliers(values), null);
  const { high } = /** @type {any} */ (withoutOutliers([...values, 8000, 8100, 8200]));
  assert.ok(high < 5, `${high}`);
  assert.equal(withoutOutliers([1, 2, 1e9]), null);
  assert.deepEqual(extent([null, NaN, 2, Infinity, -1]), { low: -1, high: 2 });
  assert.equal(stepLabel(1250000), "1.25M");
});
