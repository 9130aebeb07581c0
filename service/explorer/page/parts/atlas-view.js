/** The part of an atlas that is shown, as [left, top, right, bottom], and what moves it. */

export const WHOLE = [-0.02, -0.02, 1.02, 1.02];
const NEAREST = 0.005;
/** So many points are drawn at first while an atlas moves, and at least so many. */
export const MOVING = 200_000;
const FEWEST = 10_000;
/** Milliseconds between two draws that are too many, so few that more points may be drawn, and so many that it stood still. */
const [SLOW, FAST, PAUSE] = [60, 35, 1000];

/** Zoom by a factor around a place; the whole is the farthest. */
export function zoomed([left, top, right, bottom], factor, x, y) {
  const side = Math.min(Math.max((right - left) * factor, NEAREST), WHOLE[2] - WHOLE[0]);
  const by = side / (right - left);
  return within([x - (x - left) * by, y - (y - top) * by, x + (right - x) * by, y + (bottom - y) * by]);
}

export const moved = ([left, top, right, bottom], x, y) => within([left + x, top + y, right + x, bottom + y]);

/** The same part, moved so that its middle is in the atlas. */
function within([left, top, right, bottom]) {
  const back = (low, high) => Math.min(0, 1 - (low + high) / 2) + Math.max(0, -(low + high) / 2);
  const [x, y] = [back(left, right), back(top, bottom)];
  return [left + x, top + y, right + x, bottom + y];
}

/** Where a pointer is, in the atlas's coordinates. */
export function placeOf(event, canvas, [left, top, right, bottom]) {
  const box = canvas.getBoundingClientRect();
  return [left + ((event.clientX - box.left) / box.width) * (right - left), top + ((event.clientY - box.top) / box.height) * (bottom - top)];
}

export const corners = ([left, top, right, bottom]) => [[left, top], [right, top], [right, bottom], [left, bottom]];

export const viewText = (view) => view.map((edge) => edge.toFixed(4)).join(',');

export function parseView(text) {
  const edges = (text ?? '').split(',').map(Number);
  return edges.length === 4 && edges.every(Number.isFinite) && edges[0] < edges[2] && edges[1] < edges[3] ? edges : WHOLE;
}

/** A polygon of at most so many corners, which it takes at equal steps. */
export function thinned(polygon, most) {
  const step = Math.max(1, Math.ceil(polygon.length / most));
  return polygon.filter((_, i) => i % step === 0);
}

/** How many points to draw while an atlas moves, after so many were drawn so long ago. */
export function paced(most, milliseconds) {
  if (milliseconds > PAUSE || (milliseconds >= FAST && milliseconds <= SLOW)) return most;
  return milliseconds > SLOW ? Math.max(FEWEST, Math.round(most * Math.max(SLOW / milliseconds, 0.3))) : Math.round(Math.min(most * 1.15, 1e6));
}
