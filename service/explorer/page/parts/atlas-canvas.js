/** The picture of an atlas: points that one moves over, thumbnails of patches, and a polygon that one draws. */

import { useJson, useSettled, useWidth } from '../lib/hooks.js';
import { withQuery } from '../lib/api.js';
import { to } from '../lib/names.js';
import { drawer } from './atlas-points.js';
import { moved, placeOf, thinned, zoomed } from './atlas-view.js';
import { html, useEffect, useRef, useState } from './html.js';

const SETTLED_MS = 250;
const [COLUMNS, ROWS] = [11, 11];
const MOST_CORNERS = 200;
const KEYS = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] };
const ZOOMS = { '+': 0.7, '=': 0.7, '-': 1 / 0.7 };

/** `painted` has a colour of each point; `onSelect` gets the polygon that was drawn. */
export function AtlasCanvas({ points, painted, view, onView, selecting, polygon, onSelect, patches, label }) {
  const canvas = useRef(null);
  const frame = useRef(null);
  const drawing = useRef(null);
  const held = useRef(null);
  const [drawn, setDrawn] = useState(null);
  const [missing, setMissing] = useState(false);
  const width = useWidth(frame);
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
    drawing.current.draw(view, Math.min(Math.max((0.7 * pixels) / crowd, 1.5), 14));
  }, [view, width, painted, points]);
  useEffect(() => { // Preact listens to wheels passively, which cannot keep the page from scrolling
    const wheel = (event) => {
      event.preventDefault();
      onView(zoomed(view, event.deltaY < 0 ? 0.85 : 1 / 0.85, ...placeOf(event, canvas.current, view)));
    };
    const listened = canvas.current;
    listened.addEventListener('wheel', wheel, { passive: false });
    return () => listened.removeEventListener('wheel', wheel);
  }, [view, onView]);
  const down = (event) => {
    canvas.current.setPointerCapture(event.pointerId);
    held.current = placeOf(event, canvas.current, view);
    if (selecting) setDrawn([held.current]);
  };
  const move = (event) => {
    if (!held.current) return;
    const place = placeOf(event, canvas.current, view);
    if (selecting) setDrawn([...drawn, place]);
    else onView(moved(view, held.current[0] - place[0], held.current[1] - place[1]));
  };
  const up = () => {
    held.current = null;
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
      onPointerCancel=${up} onKeyDown=${key}></canvas>
    <${Outline} polygon=${drawn ?? polygon} view=${view} />
    ${patches && html`<${Thumbnails} ...${patches} view=${view} />`}
    ${missing && html`<p class="quiet">This browser draws no WebGL, so the points are not shown.</p>`}
  </div>`;
}

function Outline({ polygon, view }) {
  if (!polygon?.length) return null;
  const [wide, high] = [view[2] - view[0], view[3] - view[1]];
  const text = polygon.map(([x, y]) => `${(x - view[0]) / wide},${(y - view[1]) / high}`).join(' ');
  return html`<svg class="atlas-outline" viewBox="0 0 1 1" preserveAspectRatio="none" aria-hidden="true"><polygon points=${text} /></svg>`;
}

/** Patches of cells that lie in the shown part, one for each square of a grid. */
function Thumbnails({ index, layer, url, view }) {
  const settled = useSettled(view, SETTLED_MS);
  const [left, top, right, bottom] = settled;
  const { data } = useJson(withQuery(url, { left, top, right, bottom, columns: COLUMNS, rows: ROWS }));
  const [wide, high] = [view[2] - view[0], view[3] - view[1]];
  return html`<ul class="atlas-patches" aria-label="Patches">${(data?.items ?? []).map(({ x, y, image, cell, path, links }) => {
    const [across, down] = [(x - view[0]) / wide, (y - view[1]) / high];
    if (across < 0 || across > 1 || down < 0 || down > 1) return null;
    return html`<li key=${links.patch} style=${{ left: `${100 * across}%`, top: `${100 * down}%` }}>
      <a href=${to.image(index, image, { layer })}><img src=${links.patch} alt=${`${path} at ${cell.y},${cell.x}`} loading="lazy" /></a></li>`;
  })}</ul>`;
}
