import assert from "node:assert/strict";
import { test } from "node:test";

import { FLOOR_DBFS, level, peaks, toDbfs, toPcm16 } from "../../../services/console/pcm.js";

test("samples become 16 bit at full scale 32768, clipped at both ends", () => {
  const pcm = toPcm16(new Float32Array([0, 0.5, -0.5, 1, -1, 7, -7]));
  assert.deepEqual([...pcm], [0, 16384, -16384, 32767, -32768, 32767, -32768]);
});

test("a sample that is no number is silent", () => {
  assert.deepEqual([...toPcm16(new Float32Array([NaN]))], [0]);
});

test("every 16 bit sample survives the way to float and back", () => {
  const all = Int16Array.from({ length: 65536 }, (_, i) => i - 32768);
  assert.deepEqual(toPcm16(Float32Array.from(all, (sample) => sample / 32768)), all);
});

test("a full-scale square wave has peak and RMS of 1, a sine an RMS 3 dB lower", () => {
  const square = level(Int16Array.from({ length: 100 }, (_, i) => (i % 2 ? -32768 : -32768)));
  assert.deepEqual(square, { peak: 1, rms: 1 });
  const sine = toPcm16(Float32Array.from({ length: 4800 }, (_, i) => Math.sin((2 * Math.PI * i) / 48)));
  assert.ok(Math.abs(toDbfs(level(sine).rms) - 20 * Math.log10(Math.SQRT1_2)) < 0.01);
});

test("no samples are silence", () => {
  assert.deepEqual(level(new Int16Array(0)), { peak: 0, rms: 0 });
});

test("decibels: half is 6 down, silence is the floor and not minus infinity", () => {
  assert.ok(Math.abs(toDbfs(0.5) + 6.02) < 0.01);
  assert.equal(toDbfs(0), FLOOR_DBFS);
  assert.equal(toDbfs(1e-9), FLOOR_DBFS);
});

test("an outline has its peak in the stretch where the sound is", () => {
  const samples = new Float32Array(1000);
  samples[250] = -0.8;
  const outline = peaks(samples, 10);
  assert.deepEqual([...outline.keys()].filter((i) => outline[i] > 0), [2]);
  assert.ok(Math.abs(outline[2] - 0.8) < 1e-6);
});
