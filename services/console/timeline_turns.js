/** @file Draws the turns: a bar in its kind's lane for each, with as much of its text as fits. */

import { LANES_TOP, LANE_PX } from "./scene.js";
import { turnText } from "./transcript.js";
import { GUTTER_PX } from "./viewport.js";

/** @import { Kind } from "./kinds.js" */
/** @import { Scene } from "./scene.js" */
/** @import { Turn } from "./transcript.js" */

/**
 * Where a turn was drawn, for the pointer.
 * @typedef {{turn: Turn, left: number, right: number, top: number, bottom: number}} HitBox
 */

const FONT = "12px system-ui, sans-serif";
const BAR_PX = 19;

/** No text is longer than this on the screen; what began further left cannot reach into view. */
const MAX_TEXT_PX = 1500;

/**
 * @param {Scene} scene
 * @returns {HitBox[]}
 */
export function paintTurns(scene) {
  const { pen, view } = scene;
  /** @type {HitBox[]} */
  const boxes = [];
  /** @type {Map<Kind, number>} where a lane's text must end: at the next turn's start */
  const textEnds = new Map();
  pen.font = FONT;
  pen.textAlign = "left";
  for (const turn of [...scene.turns].reverse()) {
    const box = place(scene, turn);
    const textEnd = Math.min(textEnds.get(turn.kind) ?? view.widthPx, view.widthPx);
    textEnds.set(turn.kind, box.left);
    const reach = Math.max(box.right, Math.min(textEnd, box.left + MAX_TEXT_PX));
    if (box.left > view.widthPx || reach < GUTTER_PX) continue;
    paintTurn(scene, box, textEnd);
    boxes.push(box);
  }
  return boxes;
}

/**
 * The turn that was drawn here, or null.
 * @param {readonly HitBox[]} boxes
 * @param {{x: number, y: number}} at
 */
export function turnAt(boxes, { x, y }) {
  const box = boxes.find(
    ({ left, right, top, bottom }) => x >= left && x <= right && y >= top && y <= bottom,
  );
  return box?.turn ?? null;
}

/**
 * @param {Scene} scene
 * @param {Turn} turn
 * @returns {HitBox}
 */
function place({ view, lanes }, turn) {
  const left = view.xOf(turn.startMs);
  const endMs = turn.state === "open" ? Math.max(turn.endMs, view.nowMs) : turn.endMs;
  const top = LANES_TOP + lanes.indexOf(turn.kind) * LANE_PX + 3;
  return { turn, left, right: Math.max(left + 4, view.xOf(endMs)), top, bottom: top + BAR_PX };
}

/**
 * @param {Scene} scene
 * @param {HitBox} box
 * @param {number} textEnd
 */
function paintTurn({ pen, palette }, { turn, left, right, top, bottom }, textEnd) {
  pen.fillStyle = palette.kinds[turn.kind];
  pen.globalAlpha = turn.state === "open" ? 0.14 : 0.22;
  pen.beginPath();
  pen.roundRect(left, top, right - left, bottom - top, 3);
  pen.fill();
  pen.globalAlpha = 1;
  pen.fillRect(left, top, 3, bottom - top);
  // While a turn goes on in view, its text stays there, even when its start has left.
  const textLeft = (right > GUTTER_PX ? Math.max(left, GUTTER_PX) : left) + 7;
  pen.fillStyle = turn.state === "complete" ? palette.text : palette.muted;
  const text = fitted(pen, turnText(turn), textEnd - textLeft - 4);
  pen.fillText(text, textLeft, (top + bottom) / 2 + 0.5);
}

/**
 * As much of a text as fits, with … where it was cut.
 * @param {CanvasRenderingContext2D} pen
 * @param {string} text
 * @param {number} widthPx
 */
function fitted(pen, text, widthPx) {
  const fullPx = pen.measureText(text).width;
  if (fullPx <= widthPx) return text;
  let length = Math.floor((text.length * Math.max(0, widthPx)) / fullPx);
  while (length > 0 && pen.measureText(`${text.slice(0, length)}…`).width > widthPx) length--;
  return length > 0 ? `${text.slice(0, length)}…` : "";
}
