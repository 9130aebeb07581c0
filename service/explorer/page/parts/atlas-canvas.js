/** The picture of an atlas: points that one moves over, thumbnails of patches, and a polygon that one draws. */

import { useJson, useSettled, useWidth } from '../lib/hooks.js';
import { withQuery } from '../lib/api.js';
import { drawer, nearestTo, placeOfPoint } from './atlas-points.js';
import { moved, MOVING, paced, placeOf, thinned, zoomed } from './atlas-view.js';
import { html, useEffect, useRef, useState } from './html.js';
import { Bare } from './picture.js';

const SETTLED_MS = 250;
/** Once the view has stood still for so long, all points are drawn; while it moves, as many as the browser keeps up with. */
const STILL_MS = 250;
const [COLUMNS, ROWS] = [11, 11];
const MOST_CORNERS = 200;
/** How near a pointer must be to a point, in pixels of the page, to mean it; and how far it may move within a click. */
const [REACH, STILL] = [12, 3];
const KEYS = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] };
const ZOOMS = { '+': 0.7, '=': 0.7, '-': 1 / 0.7 };

/**
 * `painted` has a colour of each point; `onSelect` gets the polygon that was drawn. Where there is `hovered`, it gives what to
 * show of the point under the pointer, and `onPick` gets the one that was clicked.
 */
export function AtlasCanvas({ points, painted, view, onView, selecting, polygon, onSelect, patches, label, hovered, onPick }) {
  const canvas = useRef(null);
  const frame = useRef(null);
  const drawing = useRef(null);
  const held = useRef(null);
  const [drawn, setDrawn] = useState(null);
  const [under, setUnder] = useState(null);
  const [missing, setMissing] = useState(false);
  const width = useWidth(frame);
  const pace = useRef({ most: MOVING, drawn: 0 });
  const still = useSettled(view, STILL_MS) === view;
  useEffect(() => {
    drawing.current = drawer(canvas.current, points);
    setMissing(drawing.current === null);
    return () => drawing.current?.free();
  }, [points]);
  useEffect(() => drawing.current?.paint(painted), [painted, points]);
  useEffect(() => {
    if (!drawing.current || !width) return;
    const pixels = Math.round(width * Math.min(devicePixelRatio, 2));
    if (canvas.current.width !== pixels) canvas.current.width = canvas.current.height = pixels;
    const crowd = Math.sqrt((points.count * (view[2] - view[0]) ** 2) || 1);
    const now = performance.now();
    if (!still) pace.current.most = paced(pace.current.most, now - pace.current.drawn);
    pace.current.drawn = now;
    const most = still ? points.count : pace.current.most; // the first of all are a sample by lot
    const shown = drawing.current.draw(view, Math.min(Math.max((0.7 * pixels) / crowd, 1.5), 14), most);
    Object.assign(canvas.current.dataset, { drawn: shown, points: points.count });
  }, [view, width, painted, points, still]);
  useEffect(() => { // Preact listens to wheels passively, which cannot keep the page from scrolling
    const wheel = (event) => {
      event.preventDefault();
      onView(zoomed(view, event.deltaY < 0 ? 0.85 : 1 / 0.85, ...placeOf(event, canvas.current, view)));
    };
    const listened = canvas.current;
    listened.addEventListener('wheel', wheel, { passive: false });
    return () => listened.removeEventListener('wheel', wheel);
  }, [view, onView]);
  const pointAt = (event) => nearestTo(points, placeOf(event, canvas.current, view), (REACH * (view[2] - view[0])) / width);
  const pressed = useRef(null);
  const down = (event) => {
    canvas.current.setPointerCapture(event.pointerId);
    held.current = placeOf(event, canvas.current, view);
    pressed.current = [event.clientX, event.clientY];
    setUnder(null);
    if (selecting) setDrawn([held.current]);
  };
  const move = (event) => {
    if (!held.current) {
      if (hovered && !selecting) setUnder(pointAt(event));
      return;
    }
    const place = placeOf(event, canvas.current, view);
    if (selecting) setDrawn([...drawn, place]);
    else onView(moved(view, held.current[0] - place[0], held.current[1] - place[1]));
  };
  const up = (event) => {
    const [x, y] = pressed.current ?? [0, 0];
    const still = held.current && Math.hypot(event.clientX - x, event.clientY - y) <= STILL;
    held.current = null;
    const picked = still && onPick && !selecting && event.type === 'pointerup' ? pointAt(event) : null;
    if (picked !== null) onPick(picked);
    if (drawn?.length > 2) onSelect(thinned(drawn, MOST_CORNERS));
    setDrawn(null);
  };
  const key = (event) => {
    const [wide, high] = [view[2] - view[0], view[3] - view[1]];
    if (KEYS[event.key]) onView(moved(view, KEYS[event.key][0] * wide, KEYS[event.key][1] * high));
    else if (ZOOMS[event.key]) onView(zoomed(view, ZOOMS[event.key], (view[0] + view[2]) / 2, (view[1] + view[3]) / 2));
    else return;
    event.preventDefault();
  };
  return html`<div class="atlas" ref=${frame} data-selecting=${selecting ? '' : null}>
    <canvas ref=${canvas} tabindex="0" role="img" aria-label=${label} onPointerDown=${down} onPointerMove=${move} onPointerUp=${up}
      onPointerCancel=${up} onPointerLeave=${() => setUnder(null)} onKeyDown=${key}></canvas>
    <${Outline} polygon=${drawn ?? polygon} view=${view} />
    ${patches && html`<${Thumbnails} ...${patches} view=${view} />`}
    ${under !== null && html`<${Under} points=${points} point=${under} view=${view}>${hovered(under)}</${Under}>`}
    ${missing && html`<p class="quiet">This browser draws no WebGL, so the points are not shown.</p>`}
  </div>`;
}

function Outline({ polygon, view }) {
  if (!polygon?.length) return null;
  const [wide, high] = [view[2] - view[0], view[3] - view[1]];
  const text = polygon.map(([x, y]) => `${(x - view[0]) / wide},${(y - view[1]) / high}`).join(' ');
  return html`<svg class="atlas-outline" viewBox="0 0 1 1" preserveAspectRatio="none" aria-hidden="true"><polygon points=${text} /></svg>`;
}

/** Patches of points that lie in the shown part, one for each square of a grid; `thumbnail` says where it leads. */
function Thumbnails({ url, thumbnail, view }) {
  const settled = useSettled(view, SETTLED_MS);
  const [left, top, right, bottom] = settled;
  const { data } = useJson(withQuery(url, { left, top, right, bottom, columns: COLUMNS, rows: ROWS }));
  const [wide, high] = [view[2] - view[0], view[3] - view[1]];
  return html`<ul class="atlas-patches" aria-label="Patches">${(data?.items ?? []).map((item) => {
    const [across, down] = [(item.x - view[0]) / wide, (item.y - view[1]) / high];
    if (across < 0 || across > 1 || down < 0 || down > 1) return null;
    const { link, alt } = thumbnail(item);
    return html`<li key=${`${item.neuron} ${item.links.patch}`} style=${{ left: `${100 * across}%`, top: `${100 * down}%` }}>
      <a href=${link}><${Bare} src=${item.links.patch} alt=${alt} loading="lazy" /></a></li>`;
  })}</ul>`;
}

/** What is shown of the point under the pointer, beside it. */
function Under({ points, point, view, children }) {
  const [x, y] = placeOfPoint(points, point);
  const [across, down] = [(x - view[0]) / (view[2] - view[0]), (y - view[1]) / (view[3] - view[1])];
  const style = { left: `${100 * across}%`, top: `${100 * down}%`, transform: `translate(${across > 0.6 ? '-100%' : 0}, ${down > 0.6 ? '-100%' : 0})` };
  return html`<div class="atlas-under" style=${style}>${children}</div>`;
}
