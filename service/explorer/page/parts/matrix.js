/** A square matrix over any number of classes, drawn on a canvas and read with the mouse or the arrow keys. */

import { useWidth } from '../lib/hooks.js';
import { html, useEffect, useRef, useState } from './html.js';

const LARGEST = 720;

/**
 * `value(row, column)` is the shade, 0..1, or -1..1 if `signed`; `words(row, column)` puts a cell into words.
 * `chosen` is [row, column] or null; `onChoose` is called with another.
 */
export function Matrix({ size, value, signed, words, chosen, onChoose, label }) {
  const frame = useRef(null);
  const canvas = useRef(null);
  const width = Math.min(useWidth(frame), LARGEST);
  const [over, setOver] = useState(null);
  const side = width / size;
  const dark = useDark();
  useEffect(() => { if (width) draw(canvas.current, size, side, value, colours(dark, signed)); }, [size, side, value, dark, signed]);
  const cellOf = (event) => {
    const box = canvas.current.getBoundingClientRect();
    const at = (offset) => Math.min(size - 1, Math.max(0, Math.floor(offset / side)));
    return [at(event.clientY - box.top), at(event.clientX - box.left)];
  };
  const keys = (event) => {
    const by = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    const from = over ?? chosen ?? [0, 0];
    if (by) setOver([wrap(from[0] + by[0], size), wrap(from[1] + by[1], size)]);
    else if (event.key === 'Enter' || event.key === ' ') onChoose(from);
    else return;
    event.preventDefault();
  };
  const read = over ?? chosen;
  return html`<div class="matrix" ref=${frame}>
    <div class="matrix-cells" role="application" tabindex="0" aria-roledescription="matrix" aria-label=${label} onKeyDown=${keys}
      onMouseMove=${(event) => setOver(cellOf(event))} onMouseLeave=${() => setOver(null)}
      onClick=${(event) => onChoose(cellOf(event))} style=${{ width: `${width}px`, height: `${width}px` }}>
      <canvas ref=${canvas} aria-hidden="true"></canvas>
      ${[['over', over], ['chosen', chosen]].map(([kind, cell]) => cell && html`<span key=${kind} class=${`matrix-${kind}`} style=${{
        left: `${cell[1] * side}px`, top: `${cell[0] * side}px`, width: `${side}px`, height: `${side}px` }}></span>`)}
    </div>
    <p class="matrix-words" aria-live="polite">${read ? words(...read) : 'Point at a cell to read it; click to choose the pair.'}</p>
  </div>`;
}

const wrap = (value, size) => (value + size) % size;

function useDark() {
  const query = matchMedia('(prefers-color-scheme: dark)');
  const [dark, setDark] = useState(query.matches);
  useEffect(() => {
    const follow = (event) => setDark(event.matches);
    query.addEventListener('change', follow);
    return () => query.removeEventListener('change', follow);
  }, []);
  return dark;
}

/** Shades from the paper's colour to one colour for values above 0, and to another for values below. */
function colours(dark, signed) {
  const [paper, high, low] = dark ? [[28, 29, 32], [255, 205, 86], [92, 140, 220]] : [[246, 244, 240], [176, 78, 15], [45, 92, 170]];
  return (value) => {
    const towards = signed && value < 0 ? low : high;
    const share = Math.min(Math.abs(value), 1);
    return `rgb(${paper.map((from, i) => Math.round(from + (towards[i] - from) * share)).join()})`;
  };
}

function draw(canvas, size, side, value, colour) {
  const pixels = devicePixelRatio;
  canvas.width = canvas.height = Math.round(size * side * pixels);
  const context = canvas.getContext('2d');
  const gap = side > 6 ? 1 / pixels : 0;
  context.scale(pixels, pixels);
  for (let row = 0; row < size; row += 1) {
    for (let column = 0; column < size; column += 1) {
      context.fillStyle = colour(value(row, column));
      context.fillRect(column * side, row * side, side - gap, side - gap);
    }
  }
}
