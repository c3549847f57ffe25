/** @file Draws the timeline: heard, latency, decided, said, one row under the other.
 * Only what lies in view is looked at, so a frame costs the same after an hour. */

import { clock, duration } from "./format.js";
import { LEVEL_STEP_MS } from "./history.js";
import { KINDS, KIND_LABELS } from "./kinds.js";
import { AXIS, DECIDED, HEARD, LANES_TOP, LANE_PX, LATENCY } from "./scene.js";
import { PROMISE_MS } from "./stats.js";
import { paintTurns } from "./timeline_turns.js";
import { GUTTER_PX } from "./viewport.js";

/** @import { DecisionCell, History, Mark } from "./history.js" */
/** @import { Kind } from "./kinds.js" */
/** @import { Scene } from "./scene.js" */
/** @import { HitBox } from "./timeline_turns.js" */

const FONT = "11px system-ui, sans-serif";

/** The latency scale ends here; what is slower touches the top and is marked. */
const LATENCY_TOP_MS = 1000;
const LATENCY_LABELS_MS = [100, PROMISE_MS, LATENCY_TOP_MS];

/** The engine's queue holds no more. */
const MAX_DRAINED_CHUNKS = 64;

const LABEL_STEPS_S = [1, 2, 5, 10, 30, 60, 300, 600];
const LABEL_MIN_PX = 64;

/**
 * @param {Scene} scene
 * @returns {HitBox[]} where turns were drawn, for the pointer
 */
export function paint(scene) {
  const { pen, height } = scene;
  const width = scene.view.widthPx;
  pen.clearRect(0, 0, width, height);
  pen.textBaseline = "middle";
  pen.font = FONT;
  paintGutter(scene);
  pen.save();
  pen.beginPath();
  pen.rect(GUTTER_PX, 0, width - GUTTER_PX, height);
  pen.clip();
  const boxes = scene.view.nowMs > 0 ? paintSession(scene) : [];
  pen.restore();
  return boxes;
}

/**
 * @param {Scene} scene
 * @returns {HitBox[]}
 */
function paintSession(scene) {
  paintMarks(scene);
  paintAxis(scene);
  paintHeard(scene);
  paintDecisions(scene);
  paintPromise(scene);
  const boxes = paintTurns(scene);
  paintNow(scene);
  paintPointed(scene);
  return boxes;
}

/**
 * By square root, so that 5 ms can be seen and 400 ms has room above it.
 * @param {number} ms
 */
function latencyHeight(ms) {
  return Math.sqrt(Math.min(ms, LATENCY_TOP_MS) / LATENCY_TOP_MS) * LATENCY.height;
}

/** @param {Scene} scene */
function paintGutter({ pen, palette, lanes, view }) {
  const right = GUTTER_PX - 10;
  pen.textAlign = "right";
  pen.fillStyle = palette.muted;
  pen.fillText("Heard", right, HEARD.top + HEARD.height / 2);
  pen.fillText("Decided", right, DECIDED.top + DECIDED.height / 2);
  for (const ms of LATENCY_LABELS_MS) {
    const y = LATENCY.top + LATENCY.height - latencyHeight(ms);
    pen.fillText(`${ms} ms`, right, y);
  }
  lanes.forEach((kind, lane) => {
    const top = LANES_TOP + lane * LANE_PX;
    pen.fillStyle = palette.line;
    pen.fillRect(0, top, view.widthPx, 1);
    pen.fillStyle = palette.kinds[kind];
    pen.fillText(KIND_LABELS[kind], right, top + LANE_PX / 2 + 1);
  });
}

/** @param {Scene} scene */
function paintAxis({ pen, palette, view }) {
  const fits = (/** @type {number} */ s) => s * 1000 * view.pxPerMs >= LABEL_MIN_PX;
  const stepMs = 1000 * (LABEL_STEPS_S.find(fits) ?? 1800);
  const y = AXIS.top + AXIS.height / 2;
  pen.textAlign = "center";
  for (let ms = Math.ceil(view.leftMs / stepMs) * stepMs; ms <= view.rightMs; ms += stepMs) {
    const x = view.xOf(ms);
    pen.fillStyle = palette.line;
    pen.fillRect(x, HEARD.top, 1, AXIS.top - HEARD.top);
    pen.fillStyle = palette.muted;
    const half = LABEL_MIN_PX / 3;
    if (x < view.widthPx - half) pen.fillText(duration(ms), Math.max(x, GUTTER_PX + half), y);
  }
}

/** @param {Scene} scene */
function paintHeard({ pen, palette, view, history }) {
  const stepPx = LEVEL_STEP_MS * view.pxPerMs;
  // Zoomed out, several steps share a pixel; one in so many is drawn.
  const stride = Math.max(1, Math.floor(1 / stepPx));
  const first = Math.floor(view.leftMs / LEVEL_STEP_MS / stride) * stride;
  const last = Math.floor(Math.min(view.nowMs, view.rightMs) / LEVEL_STEP_MS);
  const middle = HEARD.top + HEARD.height / 2;
  pen.fillStyle = palette.wave;
  for (let step = first; step < last; step += stride) {
    const half = Math.max(0.5, (history.levelAt(step) * HEARD.height) / 2);
    pen.fillRect(view.xOf(step * LEVEL_STEP_MS), middle - half, Math.max(1, stepPx), 2 * half);
  }
}

/** @param {Scene} scene */
function paintDecisions(scene) {
  const { view, history } = scene;
  const first = Math.max(history.oldestChunk, Math.floor(view.leftMs / view.chunkMs));
  // A decision is kept at its newest chunk, which may lie right of the view.
  const right = Math.ceil(view.rightMs / view.chunkMs) + MAX_DRAINED_CHUNKS;
  for (let chunk = first; chunk <= Math.min(history.newestChunk, right); chunk++) {
    const cell = history.decisionAt(chunk);
    if (cell) paintDecision(scene, cell);
  }
}

/**
 * A bar as high as the latency, over a cell in the decision's colour; as wide as what was drained.
 * @param {Scene} scene
 * @param {DecisionCell} cell
 */
function paintDecision({ pen, palette, view }, cell) {
  const chunkPx = view.chunkMs * view.pxPerMs;
  const space = chunkPx > 4 ? 1 : 0;
  const left = view.xOf((cell.chunk + 1 - cell.drained) * view.chunkMs) + space;
  const wide = cell.drained * chunkPx - 2 * space;
  const responds = cell.decision === "respond";
  const colour = responds ? palette.kinds[cell.kind ?? "notice"] : palette.quiet;
  const bottom = LATENCY.top + LATENCY.height;
  const high = Math.max(1.5, latencyHeight(cell.latencyMs));
  pen.fillStyle = colour;
  pen.globalAlpha = responds ? 0.5 : 0.75;
  pen.fillRect(left, bottom - high, wide, high);
  pen.globalAlpha = 1;
  if (cell.latencyMs > PROMISE_MS) {
    pen.fillStyle = palette.warn;
    pen.fillRect(left, bottom - high, wide, 3);
  }
  pen.fillStyle = colour;
  const tick = responds ? DECIDED.height : 3;
  pen.beginPath();
  pen.roundRect(left, DECIDED.top + (DECIDED.height - tick) / 2, wide, tick, responds ? 3 : 1.5);
  pen.fill();
}

/** @param {Scene} scene */
function paintPromise({ pen, palette, view }) {
  const y = Math.round(LATENCY.top + LATENCY.height - latencyHeight(PROMISE_MS)) + 0.5;
  pen.strokeStyle = palette.warn;
  pen.globalAlpha = 0.7;
  pen.setLineDash([3, 4]);
  pen.beginPath();
  pen.moveTo(GUTTER_PX, y);
  pen.lineTo(view.widthPx, y);
  pen.stroke();
  pen.setLineDash([]);
  pen.globalAlpha = 1;
}

/** @param {Scene} scene */
function paintMarks(scene) {
  for (const mark of scene.history.marks) {
    if (mark.endMs < scene.view.leftMs || mark.startMs > scene.view.rightMs) continue;
    if (mark.about === "instruction") paintFlag(scene, mark);
    else paintLoss(scene, mark);
  }
}

/**
 * Input that was missing (hatched) or not heard in time (hatched in the colour of warnings).
 * @param {Scene} scene
 * @param {Mark} mark
 */
function paintLoss({ pen, palette, view }, mark) {
  const left = view.xOf(mark.startMs);
  const wide = Math.max(2, view.xOf(mark.endMs) - left);
  const high = AXIS.top - HEARD.top;
  pen.save();
  pen.beginPath();
  pen.rect(left, HEARD.top, wide, high);
  pen.clip();
  pen.strokeStyle = mark.about === "overrun" ? palette.warn : palette.muted;
  pen.globalAlpha = 0.5;
  pen.beginPath();
  for (let x = left - high; x < left + wide; x += 6) {
    pen.moveTo(x, HEARD.top + high);
    pen.lineTo(x + high, HEARD.top);
  }
  pen.stroke();
  pen.restore();
}

/**
 * @param {Scene} scene
 * @param {Mark} mark
 */
function paintFlag({ pen, palette, height, view }, mark) {
  const x = view.xOf(mark.startMs);
  pen.fillStyle = palette.text;
  pen.globalAlpha = 0.55;
  pen.fillRect(x, 2, 1, height);
  pen.beginPath();
  pen.moveTo(x, 1);
  pen.lineTo(x + 8, 4.5);
  pen.lineTo(x, 8);
  pen.fill();
  pen.globalAlpha = 1;
}

/** @param {Scene} scene */
function paintNow({ pen, palette, height, view }) {
  pen.fillStyle = palette.text;
  pen.globalAlpha = 0.35;
  pen.fillRect(view.xOf(view.nowMs), HEARD.top - 4, 1, height);
  pen.globalAlpha = 1;
}

/** @param {Scene} scene */
function paintPointed({ pen, palette, view, pointedChunk }) {
  if (pointedChunk === null) return;
  const left = view.xOf(pointedChunk * view.chunkMs);
  pen.fillStyle = palette.text;
  pen.globalAlpha = 0.08;
  pen.fillRect(left, HEARD.top, view.chunkMs * view.pxPerMs, AXIS.top - HEARD.top);
  pen.globalAlpha = 1;
}

/**
 * The words for the chunk under the pointer.
 * @param {History} history
 * @param {number} chunk
 * @param {number} chunkMs
 */
export function describeChunk(history, chunk, chunkMs) {
  const [startMs, endMs] = [chunk * chunkMs, (chunk + 1) * chunkMs];
  const marks = history.marks.filter((mark) => mark.startMs < endMs && mark.endMs >= startMs);
  const decided = describeDecision(history.decisionOver(chunk));
  const first = `chunk ${chunk} · ${clock(startMs)} – ${clock(endMs)} · ${decided}`;
  return [first, ...marks.map((mark) => mark.text)].join("\n");
}

/** @param {DecisionCell | null} cell */
function describeDecision(cell) {
  if (!cell) return "not decided";
  const what = cell.kind ? `respond (${KIND_LABELS[cell.kind].toLowerCase()})` : cell.decision;
  const shared = cell.drained > 1 ? ` · one decision for ${cell.drained} chunks` : "";
  return `${what} · ${cell.latencyMs.toFixed(1)} ms${shared}`;
}

/**
 * The lanes to show: the kinds that occurred, in their fixed order.
 * @param {ReadonlySet<Kind>} seen
 */
export function lanesOf(seen) {
  return KINDS.filter((kind) => seen.has(kind));
}
