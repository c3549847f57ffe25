import assert from "node:assert/strict";
import { test } from "node:test";

import {
  ConsoleError, closedFor, inWords, microphoneProblem, refused,
} from "../../../services/console/problems.js";

const named = (name) => Object.assign(new Error("as the browser says it"), { name });

test("a full server says when to come back", () => {
  const { title, advice } = refused({ status: 429, retryAfterS: 5 });
  assert.match(title, /busy/);
  assert.match(advice, /in 5 s/);
  assert.match(refused({ status: 429, retryAfterS: null }).advice, /in a moment/);
});

test("no answer, a server that drains and a proxy in between are told apart", () => {
  const titles = [null, { status: 503, retryAfterS: null }, { status: 400, retryAfterS: null }]
    .map((answer) => refused(answer).title);
  assert.match(titles[0], /does not answer/);
  assert.match(titles[1], /not ready/);
  assert.match(titles[2], /although the server answers/);
});

test("each way to have no microphone has its own words", () => {
  const titles = ["NotAllowedError", "NotFoundError", "NotReadableError", "Whatever"]
    .map((name) => microphoneProblem(named(name)).title);
  assert.equal(new Set(titles).size, titles.length);
  assert.match(microphoneProblem(named("Whatever")).advice, /as the browser says it/);
});

test("a session that ended as asked is no problem; every other end is", () => {
  assert.equal(closedFor("complete"), null);
  assert.equal(closedFor("closed_by_caller"), null);
  for (const reason of ["idle", "client_gone", "client_too_slow", "error", "shutdown", "news"]) {
    assert.ok(closedFor(reason)?.title, reason);
  }
});

test("nothing is swallowed: an unforeseen error is shown with its message", () => {
  const problem = { title: "t", advice: "a" };
  assert.equal(inWords(new ConsoleError(problem)), problem);
  assert.match(inWords(new TypeError("x is not a function")).advice, /x is not a function/);
});
