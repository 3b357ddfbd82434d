/** The first view waits for no module that only another one names. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { posix } from "node:path";
import test from "node:test";

const text = (name) => readFileSync(new URL(`../../../tbgrad/plugin/static/${name}`, import.meta.url), "utf8");

/** All that these modules import, and what that imports. @param {string[]} names */
function closure(names) {
  const found = new Set();
  for (const queue = [...names]; queue.length; ) {
    const name = queue.pop();
    if (found.has(name)) continue;
    found.add(name);
    queue.push(...[...text(name).matchAll(/^import[^;"]*?"(\.[^"]+)"/gms)].map(([, to]) => posix.join(posix.dirname(name), to)));
  }
  return found;
}

test("what is asked for ahead is what the first view imports", () => {
  const index = text("index.js");
  const listed = [...index.slice(index.indexOf("FIRST = ["), index.indexOf("];")).matchAll(/"([^"]+)"/g)].map(([, name]) => `${name}.js`);
  const needed = closure([...index.matchAll(/import\("\.\/([^"]+)"\)/g)].map(([, name]) => name));
  const itself = closure(["host.js", "model.js"]);
  assert.deepEqual([...listed].sort(), [...needed].filter((name) => !itself.has(name)).sort());
});
