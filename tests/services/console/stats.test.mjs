import assert from "node:assert/strict";
import { test } from "node:test";

import { SessionStats, WINDOW_DECISIONS, percentile } from "../../../services/console/stats.js";

const decision = (chunk, latency_ms, decision = "silent") => ({
  type: "decision", chunk, end_ms: (chunk + 1) * 400, decision, latency_ms,
});

test("percentiles are values that occurred, by nearest rank", () => {
  const values = Array.from({ length: 100 }, (_, i) => 100 - i);
  assert.equal(percentile(values, 0.5), 50);
  assert.equal(percentile(values, 0.95), 95);
  assert.equal(percentile([7], 0.95), 7);
  assert.equal(percentile([], 0.5), null);
});

test("a new session has no shares and no latencies", () => {
  const { chunks, respondShare, p50Ms, p95Ms } = new SessionStats().snapshot();
  assert.deepEqual([chunks, respondShare, p50Ms, p95Ms], [0, null, null, null]);
});

test("chunks, decisions and the share of responses are counted", () => {
  const stats = new SessionStats();
  // Chunks 1 and 2 share a decision: the queue was drained at once.
  for (const event of [decision(0, 20), decision(2, 40, "respond")]) stats.apply(event);
  const { chunks, decisions, respondShare } = stats.snapshot();
  assert.deepEqual([chunks, decisions, respondShare], [3, 2, 0.5]);
});

test("latencies forget what is older than the window, late decisions do not", () => {
  const stats = new SessionStats();
  stats.apply(decision(0, 9000));
  assert.equal(stats.snapshot().p95Ms, 9000);
  for (let chunk = 1; chunk <= WINDOW_DECISIONS; chunk++) stats.apply(decision(chunk, 30));
  const { p95Ms, late } = stats.snapshot();
  assert.deepEqual([p95Ms, late], [30, 1]);
});

test("a decision exactly at the promise is in time", () => {
  const stats = new SessionStats();
  stats.apply(decision(0, 400));
  stats.apply(decision(1, 400.1));
  assert.equal(stats.snapshot().late, 1);
});

test("dropped chunks were not heard; gaps add up", () => {
  const stats = new SessionStats();
  stats.apply({ type: "overrun", start_ms: 0, end_ms: 800, chunks: 2 });
  stats.apply({ type: "gap", start_ms: 1000, end_ms: 1500, chunks: 2 });
  stats.apply({ type: "gap", start_ms: 2000, end_ms: 2100, chunks: 1 });
  stats.apply(decision(9, 20));
  const { chunks, droppedChunks, gapMs } = stats.snapshot();
  assert.deepEqual([chunks, droppedChunks, gapMs], [8, 2, 600]);
});
