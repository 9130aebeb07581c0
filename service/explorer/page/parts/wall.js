/**
 * A wall of cards of one size. Only the cards near the screen exist.
 *
 * `render(i)` makes card i; `want(first, end)` is called with the cards that are near. Arrow keys move between cards.
 */

import { useWidth } from '../lib/hooks.js';
import { html, useEffect, useLayoutEffect, useRef, useState } from './html.js';
import { Failure } from './states.js';

const GAP = 12;
const AHEAD = 1.5; // how many screens of cards exist above and below the visible one
const FIRST_MS = 1000; // after this time they exist even if the visible screen is not complete

export function Wall({ count, label, least, height, render, want }) {
  const list = useRef(null);
  const width = useWidth(list);
  const columns = Math.max(1, Math.floor((width + GAP) / (least + GAP)));
  const cardWidth = (width - GAP * (columns - 1)) / columns;
  const step = Math.round(height(cardWidth)) + GAP;
  const rows = Math.ceil(count / columns);
  const [ahead, settle] = useAhead(list);
  const [first, end] = useRange(list, width ? step : 0, rows, ahead);
  const [from, until] = [first * columns, Math.min(end * columns, count)];
  useEffect(() => { if (width) want(from, until); }, [want, from, until, width]);
  const cards = [];
  for (let i = from; width && i < until; i += 1) {
    const position = `translate(${(i % columns) * (cardWidth + GAP)}px, ${Math.floor(i / columns) * step}px)`;
    cards.push(html`<li key=${i} data-card=${i} aria-setsize=${count} aria-posinset=${i + 1}
      style=${{ width: `${cardWidth}px`, height: `${step - GAP}px`, transform: position }}>${render(i)}</li>`);
  }
  return html`<ul class="wall" ref=${list} aria-label=${label} style=${{ height: `${Math.max(rows * step - GAP, 0)}px` }}
    onKeyDown=${(event) => step && move(event, columns)} onLoadCapture=${settle} onErrorCapture=${settle}>${cards}</ul>`;
}

/** Why some cards of the wall before it wait; it stays on the screen, as they may be far from both ends. */
export const WallFailure = ({ error, retry }) => html`<div class="wall-failure"><${Failure} error=${error} retry=${retry} /></div>`;

/** How many screens exist beside the visible one: none until its pictures have arrived, as others would compete with them. */
function useAhead(list) {
  const [ahead, setAhead] = useState(0);
  useEffect(() => {
    const timer = setTimeout(() => setAhead(AHEAD), FIRST_MS);
    return () => clearTimeout(timer);
  }, []);
  const settle = () => {
    if (!ahead && [...list.current.querySelectorAll('img')].every((image) => image.complete)) setAhead(AHEAD);
  };
  return [ahead, settle];
}

/** The rows [first, end) near the screen; none before their height (`step`) is known. */
function useRange(list, step, rows, screens) {
  const [range, setRange] = useState({ step: 0, rows: [0, 0] });
  useLayoutEffect(() => {
    if (!step) return undefined;
    const measure = () => {
      const top = list.current.getBoundingClientRect().top;
      const ahead = innerHeight * screens;
      const first = Math.max(0, Math.floor((-top - ahead) / step));
      const end = Math.min(rows, Math.max(first, Math.ceil((-top + innerHeight + ahead) / step)));
      setRange((old) => (old.step === step && old.rows[0] === first && old.rows[1] === end ? old : { step, rows: [first, end] }));
    };
    let frame = 0;
    const later = () => {
      cancelAnimationFrame(frame);
      frame = requestAnimationFrame(measure);
    };
    measure();
    addEventListener('scroll', later, { passive: true });
    addEventListener('resize', later);
    return () => {
      cancelAnimationFrame(frame);
      removeEventListener('scroll', later);
      removeEventListener('resize', later);
    };
  }, [step, rows, screens]);
  return range.step === step ? range.rows : [0, 0]; // with another height, other rows are near
}

function move(event, columns) {
  const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[event.key];
  const card = event.target.closest('[data-card]');
  if (!by || !card || event.target.closest('input, select')) return;
  const other = event.currentTarget.querySelector(`[data-card="${Number(card.dataset.card) + by}"] a`);
  if (!other) return;
  event.preventDefault();
  other.focus();
}
