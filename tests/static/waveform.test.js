import assert from "node:assert/strict";
import { test } from "node:test";
import { outline } from "../../static/waveform.js";

/** The heights of a shape, from its path. */
const heights = (/** @type {string} */ d) =>
  d
    .slice(1, -1)
    .split("L")
    .map((point) => Number(point.split(" ")[1]));

test("peaks become a shape about a middle line", () => {
  const { d, columns } = outline([0.5, 1]);
  assert.equal(columns, 2);
  assert.equal(d, "M0.5 -0.5L1.5 -1L1.5 1L0.5 0.5Z");
});

test("the loudest is as high as there is room, and silence stays visible", () => {
  assert.deepEqual(heights(outline([0, 0.2, 0.4]).d), [-0.015, -0.5, -1, 1, 0.5, 0.015]);
  assert.deepEqual(heights(outline([0, 0.01]).d), [-0.015, -0.1, 0.1, 0.015]);
});

test("of more peaks than columns the loudest stay", () => {
  const peaks = Array.from({ length: 1001 }, (_, at) => (at === 500 ? 0.9 : 0.1));
  const { d, columns } = outline(peaks, 10);
  assert.equal(columns, 10);
  assert.deepEqual(heights(d).slice(0, 10).filter((height) => height === -1).length, 1);
  assert.deepEqual(outline([], 10), { d: "", columns: 0 });
});
