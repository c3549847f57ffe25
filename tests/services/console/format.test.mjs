import assert from "node:assert/strict";
import { test } from "node:test";

import { clock, decibels, duration, latency, percent } from "../../../services/console/format.js";

test("places in the session read as clock times", () => {
  assert.deepEqual(
    [0, 399, 59_999, 60_000, 3_599_999, 3_723_400].map(clock),
    ["00:00.0", "00:00.3", "00:59.9", "01:00.0", "59:59.9", "1:02:03.4"],
  );
  assert.equal(duration(3_723_400), "1:02:03");
});

test("latencies show the figures that matter", () => {
  assert.deepEqual([null, 3.21, 42.4, 1234.5].map(latency), ["–", "3.2 ms", "42 ms", "1,235 ms"]);
});

test("shares and levels", () => {
  assert.deepEqual([null, 0.042, 0.5].map(percent), ["–", "4.2 %", "50 %"]);
  assert.deepEqual([decibels(-23.4, -90), decibels(-90, -90)], ["−23 dBFS", "silence"]);
});
