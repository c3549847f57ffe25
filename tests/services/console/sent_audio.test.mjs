import assert from "node:assert/strict";
import { test } from "node:test";

import { SentAudio } from "../../../services/console/sent_audio.js";

const piece = (value, samples) => new Int16Array(samples).fill(value);
const flat = (pieces) => pieces.flatMap((each) => [...each]);

test("what follows a place comes in order", () => {
  const audio = new SentAudio(1000);
  audio.append(Int16Array.of(1, 2, 3));
  audio.append(Int16Array.of(4, 5));
  assert.deepEqual(flat(audio.since(0)), [1, 2, 3, 4, 5]);
  assert.deepEqual(flat(audio.since(2)), [3, 4, 5]);
  assert.deepEqual(flat(audio.since(3)), [4, 5]);
  assert.deepEqual(flat(audio.since(5)), []);
});

test("no more is kept than was asked for, and what is gone is left out", () => {
  const audio = new SentAudio(1000, 3000);
  for (let second = 0; second < 60; second++) audio.append(piece(second, 1000));
  assert.deepEqual(audio.since(0).map((each) => each[0]), [57, 58, 59]);
});

test("a time in the session is a sample, and silence put in is none", () => {
  const audio = new SentAudio(48_000);
  audio.append(piece(1, 96_000));
  assert.equal(audio.place(400), 19_200);
  audio.noteGap(500, 1500);
  assert.equal(audio.place(400), 19_200);
  assert.equal(audio.place(1200), 24_000);
  assert.equal(audio.place(2000), 48_000);
});

test("a place after the end is a gap that nobody told of", () => {
  const audio = new SentAudio(1000);
  audio.append(piece(1, 1000));
  assert.equal(audio.place(1800), 1000);
  audio.append(piece(2, 1000));
  assert.equal(audio.place(2000), 1200);
});
