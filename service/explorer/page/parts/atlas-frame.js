/** What the atlases of cells and of neurons have in common: where the view is in the URL, colours, and their legend. */

import { count } from '../lib/format.js';
import { useSettled } from '../lib/hooks.js';
import { to } from '../lib/names.js';
import { change, go } from '../lib/route.js';
import { colours, counted } from './atlas-points.js';
import { corners, parseView, viewText, WHOLE } from './atlas-view.js';
import { Segmented, Switch } from './controls.js';
import { html, useEffect, useMemo, useState } from './html.js';
import { Empty, Failure } from './states.js';

const NAMED = 10;
const SETTLED_MS = 400;
/** Hues that differ most for the most frequent codes; the rest is grey. */
const PALETTE = [[31, 119, 180], [214, 96, 20], [44, 140, 60], [190, 40, 60], [130, 90, 190], [140, 86, 75], [205, 90, 165], [20, 150, 165],
  [160, 150, 20], [70, 80, 120]];
const GREY = [150, 150, 145];

/** The title of an atlas, with the way to that of the other kind. */
export const AtlasTitle = ({ index, layer, of, children }) => html`<header class="title"><h1>Atlas <small>of <a
  href=${to.layer(index, layer)}>${layer}</a></small></h1>${children}<${Of} index=${index} layer=${layer} of=${of} /></header>`;

const Of = ({ index, layer, of }) => html`<div class="controls"><${Segmented} label="Of" value=${of}
  options=${[['cells', 'cells'], ['neurons', 'neurons']]} onChange=${(kind) => go((kind === 'cells' ? to.atlas : to.neuronAtlas)(index, layer))} />
  </div>`;

/** An atlas that is not there, or did not arrive. */
export function NoAtlas({ index, layer, of, error, retry }) {
  if (error.kind !== 'not-found') return html`<${Failure} error=${error} retry=${retry} />`;
  return html`<${AtlasTitle} index=${index} layer=${layer} of=${of} /><${Empty} title="No atlas"><p>${error.detail}</p></${Empty}>`;
}

/** Colours of points: the most frequent codes, [code, points] each, and a byte each for red, green and blue of every point. */
export function usePainted(points, codeOf) {
  const named = useMemo(() => counted(points, codeOf).filter(([code]) => code >= 0).slice(0, NAMED), [points, codeOf]);
  const painted = useMemo(() => {
    const table = new Map(named.map(([code], i) => [code, PALETTE[i]]));
    return colours(points, codeOf, (code) => table.get(code) ?? GREY);
  }, [named]);
  return { named, painted };
}

/** The part that is shown, which the URL has once it stands still. */
export function useView(query) {
  const [view, setView] = useState(parseView(query.get('view')));
  const settled = useSettled(view, SETTLED_MS);
  useEffect(() => change({ view: settled === WHOLE ? null : viewText(settled) }, { replace: true }), [settled]);
  return [view, setView];
}

/** The polygon of the URL, and what puts one there. */
export function usePolygon(query) {
  const polygon = useMemo(() => parsePolygon(query.get('polygon')), [query.get('polygon')]);
  const select = (chosen) => change({ polygon: chosen && chosen.map((at) => at.map((edge) => edge.toFixed(4)).join(',')).join(';'), mode: null });
  return [polygon, select];
}

function parsePolygon(text) {
  if (!text) return null;
  const found = text.split(';').map((corner) => corner.split(',').map(Number));
  return found.length > 2 && found.every((corner) => corner.length === 2 && corner.every(Number.isFinite)) ? found : null;
}

/** What a pointer does, whether patches are shown, and what is selected; `children` stand after the pointer. */
export const AtlasControls = ({ query, view, setView, polygon, select, children }) => html`<div class="controls" role="group"
  aria-label="What is shown">
  <${Segmented} label="Pointer" value=${query.get('mode') ?? ''} options=${[['', 'moves'], ['select', 'selects']]}
    onChange=${(mode) => change({ mode })} />${children}
  <${Switch} label="Patches" on=${query.get('patches') !== 'off'} onChange=${(on) => change({ patches: on ? null : 'off' })} />
  <button class="button" onClick=${() => select(corners(view))}>Select what is shown</button>
  ${view !== WHOLE && html`<button class="button" onClick=${() => setView(WHOLE)}>Whole</button>`}
  ${polygon && html`<button class="button" onClick=${() => select(null)}>Clear</button>`}</div>`;

/** What the colours stand for; `wordsOf` gives what to show of a code. */
export const Legend = ({ named, wordsOf }) => html`<ul class="legend" aria-label="Colours">${named.map(([code, points], i) => html`<li key=${code}>
  <span class="swatch" style=${{ background: `rgb(${PALETTE[i].join(',')})` }}></span>${wordsOf(code)}
  ${' '}<small>${count(points)}</small></li>`)}<li><span class="swatch" style=${{ background: `rgb(${GREY.join(',')})` }}></span>others</li></ul>`;
