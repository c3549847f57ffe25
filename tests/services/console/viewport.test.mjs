import assert from "node:assert/strict";
import { test } from "node:test";

import { GUTTER_PX, Viewport } from "../../../services/console/viewport.js";

function viewport(nowMs) {
  const view = new Viewport();
  view.widthPx = GUTTER_PX + 900;
  view.nowMs = nowMs;
  return view;
}

test("a session begins at the left edge, then the newest stays in place at the right", () => {
  const view = viewport(1000);
  assert.equal(view.leftMs, 0);
  view.nowMs = 600_000;
  const x = view.xOf(600_000);
  assert.ok(x < view.widthPx && x > view.widthPx - 200);
  view.nowMs = 700_000;
  assert.ok(Math.abs(view.xOf(700_000) - x) < 1e-6);
});

test("once scrolled, the view stands still until it follows again", () => {
  const view = viewport(600_000);
  view.scrollTo(100_000);
  view.nowMs = 800_000;
  assert.deepEqual([view.leftMs, view.follows], [100_000, false]);
  view.follow();
  assert.ok(view.follows && view.rightMs > 800_000);
});

test("scrolling past the newest follows; scrolling before the start stops there", () => {
  const view = viewport(600_000);
  view.scrollBy(-1e9);
  assert.equal(view.leftMs, 0);
  view.scrollBy(1e9);
  assert.ok(view.follows);
});

test("pixels and times are two ways to say the same", () => {
  const view = viewport(600_000);
  view.scrollTo(50_000);
  assert.ok(Math.abs(view.msAt(view.xOf(61_234)) - 61_234) < 1e-6);
});

test("zooming a scrolled view keeps its middle, and ends somewhere", () => {
  const view = viewport(600_000);
  view.scrollTo(200_000);
  const middleMs = view.leftMs + view.spanMs / 2;
  view.zoom(1);
  assert.ok(Math.abs(view.leftMs + view.spanMs / 2 - middleMs) < 1e-6);
  for (let i = 0; i < 20; i++) view.zoom(-1);
  const widest = view.spanMs;
  view.zoom(-1);
  assert.equal(view.spanMs, widest);
});
