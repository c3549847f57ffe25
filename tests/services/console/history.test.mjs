import assert from "node:assert/strict";
import { test } from "node:test";

import { CAPACITY_CHUNKS, History, LEVEL_STEP_MS } from "../../../services/console/history.js";

const decide = (history, chunk, decision = "silent", latency_ms = 20) =>
  history.apply({ type: "decision", chunk, end_ms: (chunk + 1) * 400, decision, latency_ms }, null);
const say = (history, chunk, kind, type = "response.started", state = "open") =>
  history.apply({ type }, { kind, chunk, state });

test("a decision is kept with its latency and the kind that it led to", () => {
  const history = new History();
  decide(history, 0);
  decide(history, 1, "respond", 55);
  say(history, 1, "answer");
  assert.deepEqual(history.decisionAt(1), {
    chunk: 1, drained: 1, latencyMs: 55, decision: "respond", kind: "answer",
  });
  assert.equal(history.decisionAt(0).kind, null);
  assert.equal(history.decisionAt(2), null);
});

test("chunks that were drained together share the decision of the newest", () => {
  const history = new History();
  decide(history, 0);
  decide(history, 3, "respond");
  assert.equal(history.decisionAt(2), null);
  assert.equal(history.decisionAt(3).drained, 3);
  assert.deepEqual([0, 1, 2, 3].map((chunk) => history.decisionOver(chunk).chunk), [0, 3, 3, 3]);
});

test("a silent decision takes no colour; of two turns at once, advice shows", () => {
  const history = new History();
  decide(history, 0);
  say(history, 0, "advice");
  decide(history, 1, "respond");
  say(history, 1, "transcript");
  say(history, 1, "count");
  assert.equal(history.decisionAt(0).decision, "silent");
  assert.equal(history.decisionAt(1).kind, "transcript");
  say(history, 1, "advice");
  assert.equal(history.decisionAt(1).kind, "advice");
});

test("a decision to go on with a turn has the turn's kind, with new text or without", () => {
  const history = new History();
  decide(history, 0, "respond");
  say(history, 0, "transcript");
  decide(history, 1, "respond");
  say(history, 0, "transcript", "response.text");
  decide(history, 2, "respond");
  decide(history, 3, "silent");
  assert.deepEqual([1, 2].map((chunk) => history.decisionAt(chunk).kind), [
    "transcript", "transcript",
  ]);
});

test("what was lost is marked, and the kinds that occurred are known", () => {
  const history = new History();
  history.apply({ type: "overrun", start_ms: 400, end_ms: 1200, chunks: 2 }, null);
  say(history, 0, "count");
  assert.deepEqual(history.marks.map(({ about, endMs }) => [about, endMs]), [["overrun", 1200]]);
  assert.deepEqual([...history.kinds], ["count"]);
});

test("a decision that is told twice counts once", () => {
  const history = new History();
  decide(history, 0);
  decide(history, 1);
  decide(history, 1, "respond", 900);
  assert.equal(history.decisionAt(1).decision, "silent");
  assert.equal(history.newestChunk, 1);
});

test("memory is bounded: what is older than the ring is forgotten, not mixed up", () => {
  const history = new History();
  for (let chunk = 0; chunk < CAPACITY_CHUNKS + 10; chunk++) decide(history, chunk);
  assert.equal(history.oldestChunk, 10);
  assert.equal(history.decisionAt(9), null);
  assert.equal(history.decisionAt(CAPACITY_CHUNKS + 9).chunk, CAPACITY_CHUNKS + 9);
});

test("levels lie where they were heard; a skipped block does not shift the rest", () => {
  const history = new History();
  history.hear(LEVEL_STEP_MS, 1);
  history.hear(4 * LEVEL_STEP_MS, 0.25);
  assert.equal(history.levelAt(0), 1);
  assert.ok(Math.abs(history.levelAt(3) - 0.5) < 0.01);
  assert.equal(history.levelAt(4), 0);
  assert.equal(history.levelAt(-1), 0);
});
