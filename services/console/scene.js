/** @file What one frame of the timeline shows, and where its rows are. */

/** @import { History } from "./history.js" */
/** @import { Kind } from "./kinds.js" */
/** @import { Palette } from "./palette.js" */
/** @import { Turn } from "./transcript.js" */
/** @import { Viewport } from "./viewport.js" */

/**
 * @typedef {object} Scene
 * @property {CanvasRenderingContext2D} pen
 * @property {Palette} palette
 * @property {Viewport} view
 * @property {number} height in CSS pixels
 * @property {number | null} pointedChunk
 * @property {History} history
 * @property {Iterable<Turn>} turns oldest first
 * @property {readonly Kind[]} lanes
 */

export const HEARD = { top: 8, height: 34 };
export const LATENCY = { top: 50, height: 66 };
export const DECIDED = { top: 121, height: 14 };
export const AXIS = { top: 140, height: 18 };
export const LANES_TOP = 162;
export const LANE_PX = 24;

/** @param {number} lanes */
export function timelineHeight(lanes) {
  return LANES_TOP + lanes * LANE_PX + 6;
}
