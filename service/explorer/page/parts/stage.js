/** A picture to point at: with heat over it, boxes on it, and a cross that the mouse or the arrow keys place. */

import { html, useRef, useState } from './html.js';
import { Outline } from './patch-card.js';
import { Bare, useImage } from './picture.js';

const STEPS = 40;

/** `image` is {width, height, src, alt}; `point` is {x, y} in its pixels or null; `onPoint` is called with another. */
export function Stage({ image, heat, boxes, point, onPoint }) {
  const stage = useRef(null);
  const { url: shown, is, error, key, onLoad, onError } = useImage(image.src);
  const [aim, setAim] = useState(null);
  const target = aim ?? point ?? { x: image.width / 2, y: image.height / 2 };
  const aimAt = (event) => {
    const step = event.shiftKey ? STEPS / 4 : STEPS;
    const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!by) return;
    event.preventDefault();
    setAim({
      x: clamp(target.x + (by[0] * image.width) / step, image.width),
      y: clamp(target.y + (by[1] * image.height) / step, image.height),
    });
  };
  const choose = (event) => {
    const byKey = event.detail === 0;
    const frame = stage.current.getBoundingClientRect();
    const chosen = byKey ? target : {
      x: ((event.clientX - frame.left) / frame.width) * image.width,
      y: ((event.clientY - frame.top) / frame.height) * image.height,
    };
    setAim(null);
    onPoint({ x: round(clamp(chosen.x, image.width)), y: round(clamp(chosen.y, image.height)) });
  };
  const cross = aim ?? point;
  return html`<button class="stage" ref=${stage} onKeyDown=${aimAt} onClick=${choose} onBlur=${() => setAim(null)}
    aria-label=${`${image.alt}. Click a point to see what fires there, or aim with the arrow keys and press Enter.`}
    style=${{ aspectRatio: `${image.width} / ${image.height}`, width: `min(100%, ${Math.round((72 * image.width) / image.height)}vh)` }}>
    ${is === 'failed'
      ? html`<span class="picture-failed">${error ? error.detail : 'This picture cannot be shown.'}</span>`
      : shown && html`<img key=${key} src=${shown} alt="" onLoad=${onLoad} onError=${onError} />`}
    ${heat && html`<${Bare} class="stage-heat" src=${heat} alt="" />`}
    <${Outline} image=${image} boxes=${boxes} />
    ${cross && html`<span class="cross" data-aiming=${aim ? '' : null} aria-hidden="true"
      style=${{ left: `${(cross.x / image.width) * 100}%`, top: `${(cross.y / image.height) * 100}%` }}></span>`}
  </button>`;
}

const clamp = (value, most) => Math.min(Math.max(value, 0), most);
const round = (value) => Math.round(value * 10) / 10;
