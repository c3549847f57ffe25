import assert from "node:assert/strict";
import { test } from "node:test";

import {
  MAX_TURNS, Transcript, asText, orderedPieces, segments, turnText,
} from "../../../services/console/transcript.js";

const started = (turn, chunk = 0, kind = "transcript") => ({
  type: "response.started", turn, chunk, kind,
});
const text = (turn, sequence, said, final, words) => ({
  type: "response.text", turn, sequence, text: said, final, words,
});
const ended = (turn, reason = "complete") => ({ type: "response.ended", turn, reason });
const decision = (chunk) => ({
  type: "decision", chunk, end_ms: (chunk + 1) * 400, decision: "silent", latency_ms: 1,
});

function after(...events) {
  const transcript = new Transcript();
  events.forEach((event) => transcript.apply(event));
  return transcript;
}

test("provisional text is replaced as a whole, also by less", () => {
  const transcript = after(started(1), text(1, 0, "the cat sat", false));
  assert.equal(turnText(transcript.get(1)), "the cat sat");
  transcript.apply(text(1, 0, "the", false));
  assert.equal(turnText(transcript.get(1)), "the");
  transcript.apply(text(1, 0, "", false));
  assert.equal(turnText(transcript.get(1)), "");
});

test("final text is never taken back", () => {
  const transcript = after(started(1), text(1, 0, "yes", true), text(1, 0, "no", false));
  assert.equal(turnText(transcript.get(1)), "yes");
  assert.deepEqual(orderedPieces(transcript.get(1)).map(({ final }) => final), [true]);
});

test("pieces join in order of sequence, not of arrival", () => {
  const transcript = after(started(1), text(1, 1, " sat", false), text(1, 0, "The cat", true));
  assert.equal(turnText(transcript.get(1)), "The cat sat");
});

test("turns of one session go on side by side and do not mix", () => {
  const transcript = after(
    started(1), started(2, 3, "advice"),
    text(2, 0, "Get out.", true), text(1, 0, "hello", false), ended(2),
  );
  assert.deepEqual(
    [...transcript.turns].map((turn) => [turn.kind, turnText(turn), turn.state]),
    [["transcript", "hello", "open"], ["advice", "Get out.", "complete"]],
  );
});

test("a turn lies where its words lie, and without words from its chunk to the newest", () => {
  const words = [
    { text: "the", start_ms: 1200, end_ms: 1400 },
    { text: "cat", start_ms: 1500, end_ms: 1900 },
  ];
  const transcript = after(
    started(1, 5), text(1, 0, "the cat", true, words),
    started(2, 6, "answer"), decision(9), text(2, 0, "Yes.", true), ended(2),
  );
  const spans = [...transcript.turns].map(({ startMs, endMs }) => [startMs, endMs]);
  assert.deepEqual(spans, [[1200, 1900], [2400, 4000]]);
});

test("the chunk length that the server tells is used", () => {
  const opened = { type: "session.opened", session_id: "s", model: "m", chunk_ms: 200 };
  const transcript = after(opened, started(1, 4));
  assert.equal(transcript.get(1).startMs, 800);
});

test("a turn's end keeps its reason", () => {
  const transcript = after(started(1), ended(1, "cancelled"));
  assert.equal(transcript.get(1).state, "cancelled");
});

test("when the session breaks, open turns are broken off and finished ones stay", () => {
  const transcript = after(started(1), ended(1), started(2), text(2, 0, "half a", false));
  assert.deepEqual(transcript.breakOff().map(({ turn, state }) => [turn, state]), [[2, "error"]]);
  assert.equal(transcript.get(1).state, "complete");
});

test("what changes no turn says so; text for an unknown turn is no turn", () => {
  const transcript = new Transcript();
  assert.equal(transcript.apply(decision(0)), null);
  assert.equal(transcript.apply(text(9, 0, "who?", true)), null);
  assert.deepEqual([...transcript.turns], []);
});

test("a value handed out earlier does not change later", () => {
  const transcript = new Transcript();
  const before = transcript.apply(started(1));
  transcript.apply(text(1, 0, "hello", true));
  assert.equal(turnText(before), "");
});

test("memory is bounded: the oldest turns are forgotten", () => {
  const transcript = new Transcript();
  for (let turn = 1; turn <= MAX_TURNS + 5; turn++) transcript.apply(started(turn));
  const turns = [...transcript.turns].map(({ turn }) => turn);
  assert.equal(turns.length, MAX_TURNS);
  assert.deepEqual([turns[0], turns.at(-1)], [6, MAX_TURNS + 5]);
});

test("segments carry the words' times and join to the text", () => {
  const words = [
    { text: "Stay", start_ms: 0, end_ms: 300 },
    { text: "low,", start_ms: 300, end_ms: 700 },
    { text: "low", start_ms: 800, end_ms: 900 },
  ];
  const piece = { text: " Stay low, low!", final: true, words };
  const cut = segments(piece);
  assert.equal(cut.map((segment) => segment.text).join(""), piece.text);
  assert.deepEqual(
    cut.filter(({ word }) => word).map((segment) => [segment.text, segment.word.start_ms]),
    [["Stay", 0], ["low,", 300], ["low", 800]],
  );
});

test("a session can be had as plain text", () => {
  const transcript = after(
    started(1, 5), text(1, 0, "Hello.", true), ended(1),
    started(2, 155, "advice"), text(2, 0, "Get out.", true),
  );
  assert.equal(asText(transcript.turns), "00:02.0  Transcript: Hello.\n01:02.0  Advice: Get out.");
});

test("a word that the text does not contain leaves the text whole", () => {
  const words = [{ text: "twenty", start_ms: 0, end_ms: 300 }];
  const cut = segments({ text: "20 people", final: true, words });
  assert.deepEqual(cut, [{ text: "20 people", word: null }]);
});
