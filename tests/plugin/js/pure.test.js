/** Sorting, folding, smoothing, clocks, tables: what needs no page. */

import assert from "node:assert/strict";
import test from "node:test";
import { layoutBins, usedRange } from "../../../tbgrad/plugin/static/pure/bins.js";
import { Clock, wallTicks } from "../../../tbgrad/plugin/static/pure/clock.js";
import { scaleOf } from "../../../tbgrad/plugin/static/pure/colormap.js";
import { beside, csv } from "../../../tbgrad/plugin/static/pure/csv.js";
import { factsOf } from "../../../tbgrad/plugin/static/pure/facts.js";
import { grouped } from "../../../tbgrad/plugin/static/pure/groups.js";
import { badness, worstOf } from "../../../tbgrad/plugin/static/pure/layers.js";
import { natural } from "../../../tbgrad/plugin/static/pure/natural.js";
import { wordsOf } from "../../../tbgrad/plugin/static/pure/pages.js";
import { abbreviated } from "../../../tbgrad/plugin/static/pure/names.js";
import { linePath } from "../../../tbgrad/plugin/static/pure/paths.js";
import { smoothed } from "../../../tbgrad/plugin/static/pure/smoothing.js";
import { foldedToFit, linesOf, matching, ordered } from "../../../tbgrad/plugin/static/pure/tree.js";

test("names are in the order in which people count", () => {
  const names = ["10", "1", "0", "2", "11", "run-9", "run-10", "run", "b2c10", "b2c9"];
  const rates = ["lr0.1", "lr0.03", "lr0.3-b64", "lr1e-4", "lr0.03-b8"];
  assert.deepEqual(rates.sort(natural), ["lr1e-4", "lr0.03", "lr0.03-b8", "lr0.1", "lr0.3-b64"]);
  assert.deepEqual([...names].sort(natural), ["0", "1", "2", "10", "11", "b2c9", "b2c10", "run", "run-9", "run-10"]);
});

test("smoothing is the debiased exponential average", () => {
  const values = [0, 1, 1, NaN, 4];
  const direct = (list, w) => {
    const weights = list.map((_, i) => w ** (list.length - 1 - i));
    return list.reduce((sum, v, i) => sum + v * weights[i], 0) / weights.reduce((a, b) => a + b, 0);
  };
  const found = smoothed(values, 0.5);
  assert.ok(Number.isNaN(found[3]));
  for (const [i, list] of [[0, [0]], [1, [0, 1]], [2, [0, 1, 1]], [4, [0, 1, 1, 4]]]) assert.ok(Math.abs(/** @type {number} */ (found[/** @type {number} */ (i)]) - direct(list, 0.5)) < 1e-12);
  assert.deepEqual(smoothed(values, 0), values);
});

test("a clock goes both ways, and on beyond its records", () => {
  const clock = new Clock([0, 10, 30], [100, 110, 210]);
  assert.deepEqual([clock.at(5), clock.at(20), clock.stepAt(160)], [105, 160, 20]);
  assert.ok(Math.abs(clock.at(60) - (210 + (30 * 110) / 30)) < 1e-9);
  assert.ok(clock.at(-10) < 100);
  assert.deepEqual(new Clock([0, 10], [0, 5]).steps, [10]);
  const nights = wallTicks(1790000000, 1790000000 + 2 * 86400, 20).filter(([time]) => new Date(1000 * time).getHours() === 0);
  assert.ok(nights.length >= 1 && nights.every(([, label]) => /^\d\d-\d\d$/.test(label)));
  const ticks = wallTicks(1790000000 + 1800, 1790003600, 5);
  assert.ok(ticks.length <= 6 && ticks.every(([, label]) => /^\d\d[:-]\d\d$/.test(label)));
});

const leaf = (path, row) => ({ path, label: path.split("/").at(-1), rows: [row], children: [] });
const layer = (path, label, rows) => ({ path, label, rows, children: [leaf(`${path}kernel`, rows[0]), leaf(`${path}bias`, rows[1])] });
const TREE = [
  { path: "enc/", label: "enc", rows: [0, 1, 2, 3], children: [layer("enc/a/", "a", [0, 1]), layer("enc/b/", "b", [2, 3])] },
  layer("out/", "out", [4, 5]),
];

test("blocks fold until all rows have room", () => {
  const open = linesOf(TREE, new Set());
  assert.deepEqual(open.map(({ label }) => label), ["enc", "a/kernel", "a/bias", "b/kernel", "b/bias", "out/kernel", "out/bias"]);
  assert.deepEqual(open.map(({ isOpen }) => isOpen), [true, false, false, false, false, false, false]);
  for (const [room, rows] of [[7, 7], [6, 5], [4, 2], [1, 2]]) {
    const lines = linesOf(TREE, foldedToFit(TREE, room));
    assert.equal(lines.length, rows, `${room}`);
  }
  assert.deepEqual(matching(TREE, "B kernel").map(({ path }) => path), ["enc/b/kernel"]);
  const last = ordered(TREE, (rows) => Math.max(...rows));
  assert.deepEqual(linesOf(last, new Set()).map(({ node }) => node.path), ["out/bias", "out/kernel", "enc/", "enc/b/bias", "enc/b/kernel", "enc/a/bias", "enc/a/kernel"]);
});

test("the worst of a block: not finite, then none, then zero, then its number", () => {
  /** @type {any} */
  const measure = { scale: "log", worst: "largest", centre: 1, zero_is_worse: true, none_is_worse: true };
  const order = [[5, true], [NaN, false], [0, false], [5, false], [0.1, false]].map(([v, lost]) => badness(/** @type {number} */ (v), /** @type {boolean} */ (lost), measure));
  assert.deepEqual([...order].sort((a, b) => b - a), order);
  const far = { ...measure, worst: "far", centre: 1e-3 };
  assert.ok(badness(1e-6, false, far) > badness(1e-2, false, far));
  const found = worstOf([0, 1], [[1, 0, NaN], [2, 3, 4]], [new Set(), new Set([2])], measure);
  assert.deepEqual(found, [1, 0, 1]);
});

test("a table is text that a spreadsheet reads and does not run", () => {
  assert.equal(csv([["a,b", 'c"d', "=SUM(1)"], [1.5, NaN, null], ["-3", Infinity, "-x"]]), '"a,b","c""d",\'=SUM(1)\r\n1.5,nan,\r\n-3,inf,\'-x\r\n');
  assert.deepEqual(beside("step", [{ name: "a", x: [1, 3], y: [10, 30] }, { name: "b", x: [2, 3], y: [20, 31] }]), [["step", "a", "b"], [1, 10, null], [2, null, 20], [3, 30, 31]]);
});

test("the facts of a series", () => {
  assert.deepEqual(factsOf("loss", [1, 2, 3], [3, null, 1], [7, 2, 9]), { name: "loss", newest: "1 at step 3", smallest: "1 at step 3", largest: "3 at step 1", firstBad: "step 2" });
  assert.equal(factsOf("x", [], []).newest, "none");
});

test("tags in groups: pinned, like a loss, by prefix", () => {
  const tags = ["loss", "train/acc", "w/a", "w/b", "w/c", "val_loss", "lr", "x10", "x9"];
  assert.deepEqual(grouped(tags, ["lr", "gone"]), [
    { title: "pinned", tags: ["lr"] }, { title: "loss", tags: ["loss", "val_loss"] }, { title: "w", tags: ["w/a", "w/b", "w/c"] }, { title: "others", tags: ["train/acc", "x9", "x10"] },
  ]);
  assert.deepEqual(grouped(["b", "a"]), [{ title: "all", tags: ["b", "a"] }]);
});

test("a dense line keeps its extremes, and gaps stay gaps", () => {
  const xs = Array.from({ length: 10000 }, (_, i) => i / 1000);
  const ys = xs.map((_, i) => (i === 5555 ? 400 : 100));
  const path = linePath(xs, ys);
  assert.ok(path.includes(",400") && path.length < 2000);
  assert.equal(linePath([0, 1, 2, 3], [1, NaN, 2, 3]), "M0,1M2,2L3,3");
});

test("colours: zero has no place on a logarithmic scale, infinity the last", () => {
  const scale = scaleOf("log", [0, 1e-3, 10, NaN, Infinity]);
  assert.ok(Number.isNaN(scale.place(0)));
  assert.deepEqual([scale.place(Infinity), scale.place(10), scale.place(1e-3)], [1, 1, 0]);
  assert.equal(scaleOf("signed", [-2, 1]).place(0), 0.5);
});

test("all values of a histogram are in its bars, and outside in words", () => {
  const edges = [0.25, 0.5, 1];
  const counts = [1, 2, 3, 0, 12, 0, 4, 0, 5, 1];
  const bins = layoutBins(edges, counts, usedRange({ edges, counts: [counts] }));
  assert.ok(Math.abs(bins.shares.reduce((a, b) => a + b, 0) - 27 / 28) < 1e-12);
  assert.match(bins.words, /42.9 % exactly zero .* 6 above 1 in size · 1 NaN or infinite/);
});

test("a page of very many layers in words", () => {
  const page = { row: 4000, rows: 9300, all: 9300, shown: 4000, find: "", order: "in order" };
  assert.equal(wordsOf(page), "layers 4,001 to 8,000 of 9,300");
  assert.equal(wordsOf({ ...page, order: "worst first" }), "the worst: layers 4,001 to 8,000 of 9,300");
  assert.equal(wordsOf({ ...page, row: 0, rows: 7, shown: 7, find: "bias" }), "layers 1 to 7 of 7 that match, of 9,300");
  assert.equal(wordsOf({ ...page, row: 0, rows: 0, shown: 0, find: "x" }), "none of 9,300 layers");
});

test("long names keep their numbers", () => {
  assert.equal(abbreviated("dense_1/kernel", 20), "dense_1/kernel");
  assert.equal(abbreviated("multi_head_attention_12/query/kernel", 25), "multi_hea…12/query/kernel");
  const names = [0, 1, 2, 3].map((i) => `multi_head_attention_${i}/attention_output/bias`);
  const short = names.map((name) => abbreviated(name, 30));
  assert.equal(new Set(short).size, 4);
  for (const name of short) assert.ok(name.length <= 30);
  assert.equal(abbreviated("a".repeat(40), 9), "aaaa…aaaa");
  assert.equal(abbreviated("layer_normalization_12 (2)", 18), "layer_norma…12 (2)");
});
