/** What is shown, in an address and back. */

import assert from "node:assert/strict";
import test from "node:test";
import { fromHash, initial, MOST_CHARACTERS, toHash } from "../../../tbgrad/plugin/static/pure/address.js";

const EVIL = "<img src=x onerror=alert(1)>&p.tbgrad.view=layers#,~%25=😀";

test("a state survives the way through an address", () => {
  const state = {
    ...initial(), view: "compare", run: EVIL, runs: [EVIL, "b,c", "d"], parameter: "a/b&c=d", statistic: "snr", range: /** @type {[number, number]} */ ([12.5, 1e6]),
    rows: ["a/b,c", EVIL], row: 4000, cursor: 0, axis: /** @type {"wall"} */ ("wall"), logx: true, smoothing: 0.9, pins: ["loss", "x y"], flipped: ["scalar"], outliers: true, alert: "no_gradient@40",
  };
  assert.deepEqual({ ...initial(), ...fromHash(toHash("#tbgrad", state)) }, state);
});

test("what is usual is not in it, and what others have there stays", () => {
  assert.equal(toHash("#tbgrad", initial()), "#tbgrad");
  const hash = toHash("#timeseries&p.other.x=1&p.tbgrad.view=layers", { ...initial(), view: "run" });
  assert.equal(hash, "#timeseries&p.other.x=1&p.tbgrad.view=run");
  assert.equal(toHash("", initial()), "#tbgrad");
});

test("nonsense in an address is left out", () => {
  const found = fromHash("#tbgrad&p.tbgrad.range=9~3&p.tbgrad.cursor=x&p.tbgrad.axis=moon&p.tbgrad.__proto__=1&p.tbgrad.smoothing=7&p.tbgrad.run=%E0%A4%A&p.tbgrad.rows=a&p.tbgrad.row=-7.5");
  assert.deepEqual(found, { range: null, cursor: null, axis: "step", smoothing: 0.999, run: "%E0%A4%A", rows: [], row: 0 });
});

test("an address does not grow without end", () => {
  const runs = Array.from({ length: 1000 }, (_, i) => `sweep/run-with-a-long-name-${i}`);
  assert.ok(toHash("#tbgrad", { ...initial(), runs, view: "compare" }).length <= MOST_CHARACTERS);
});
