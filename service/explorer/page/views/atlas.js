/** A layer's atlas: cells that mean the same to the network lie together. */

import { getBlob, postJson } from '../lib/api.js';
import { count, many, number, percent } from '../lib/format.js';
import { useAnswer, useJson, useSettled } from '../lib/hooks.js';
import { api, tilesOf, to } from '../lib/names.js';
import { change } from '../lib/route.js';
import { AtlasCanvas } from '../parts/atlas-canvas.js';
import { classOf, colours, counted, neuronOf, parsePoints } from '../parts/atlas-points.js';
import { corners, parseView, viewText, WHOLE } from '../parts/atlas-view.js';
import { Direction } from '../parts/direction.js';
import { Choice, Segmented, Switch } from '../parts/controls.js';
import { html, useEffect, useMemo, useState } from '../parts/html.js';
import { Category, Tiles } from '../parts/neuron-card.js';
import { Empty, Failure, Loading } from '../parts/states.js';

const NAMED = 10;
const SHOWN = 8;
const SETTLED_MS = 400;
/** Hues that differ most for the most frequent codes; the rest is grey. */
const PALETTE = [[31, 119, 180], [214, 96, 20], [44, 140, 60], [190, 40, 60], [130, 90, 190], [140, 86, 75], [205, 90, 165], [20, 150, 165],
  [160, 150, 20], [70, 80, 120]];
const GREY = [150, 150, 145];

export function AtlasView({ index, layer, query }) {
  const about = useJson(api.atlas(index, layer));
  const points = useAnswer(about.data && (() => getBlob(about.data.links.points).then((blob) => blob.arrayBuffer()).then(parsePoints)), [about.data]);
  if (about.error) return html`<${NoAtlas} index=${index} layer=${layer} error=${about.error} retry=${about.retry} />`;
  if (points.error) return html`<${Failure} error=${points.error} retry=${points.retry} />`;
  if (!about.data || !points.data) return html`<${Loading} what="Fetching the atlas" />`;
  return html`<header class="title"><h1>Atlas <small>of <a href=${to.layer(index, layer)}>${layer}</a></small></h1>
      <p>${madeOf(about.data)}</p></header>
    <${Shown} index=${index} layer=${layer} about=${about.data} points=${points.data} query=${query} />`;
}

function NoAtlas({ index, layer, error, retry }) {
  if (error.kind !== 'not-found') return html`<${Failure} error=${error} retry=${retry} />`;
  return html`<header class="title"><h1>Atlas <small>of <a href=${to.layer(index, layer)}>${layer}</a></small></h1></header>
    <${Empty} title="No atlas"><p>${error.detail}</p></${Empty}>`;
}

const madeOf = (atlas) => `${many(atlas.points, 'cell')} of ${many(atlas.images, 'image')}; alike ones lie together. Of the ${atlas.neighbours} nearest `
  + `neighbours of a cell it keeps ${percent(atlas.kept)}, two principal components ${percent(atlas.kept_by_two_components)} (sampled on ${count(atlas.sampled)}).`;

function Shown({ index, layer, about, points, query }) {
  const by = query.get('colour') === 'neuron' ? 'neuron' : 'class';
  const codeOf = by === 'class' ? classOf : neuronOf;
  const named = useMemo(() => counted(points, codeOf).filter(([code]) => code >= 0).slice(0, NAMED), [points, by]);
  const painted = useMemo(() => {
    const table = new Map(named.map(([code], i) => [code, PALETTE[i]]));
    return colours(points, codeOf, (code) => table.get(code) ?? GREY);
  }, [named]);
  const [view, setView] = useState(parseView(query.get('view')));
  const settled = useSettled(view, SETTLED_MS);
  useEffect(() => change({ view: settled === WHOLE ? null : viewText(settled) }, { replace: true }), [settled]);
  const polygon = useMemo(() => parsePolygon(query.get('polygon')), [query.get('polygon')]);
  const select = (chosen) => change({ polygon: chosen && chosen.map((at) => at.map((edge) => edge.toFixed(4)).join(',')).join(';'), mode: null });
  const patches = query.get('patches') === 'off' ? null : { index, layer, url: about.links.patches };
  return html`<div class="controls" role="group" aria-label="What is shown">
      <${Segmented} label="Pointer" value=${query.get('mode') ?? ''} options=${[['', 'moves'], ['select', 'selects']]} onChange=${(mode) => change({ mode })} />
      <${Choice} label="Colour" value=${by} options=${[['class', 'class'], ['neuron', 'strongest neuron']]}
        onChange=${(value) => change({ colour: value === 'class' ? null : value })} />
      <${Switch} label="Patches" on=${patches !== null} onChange=${(on) => change({ patches: on ? null : 'off' })} />
      <button class="button" onClick=${() => select(corners(view))}>Select what is shown</button>
      ${view !== WHOLE && html`<button class="button" onClick=${() => setView(WHOLE)}>Whole</button>`}
      ${polygon && html`<button class="button" onClick=${() => select(null)}>Clear</button>`}</div>
    <div class="split"><section class="split-main" aria-label="Atlas">
      <${AtlasCanvas} points=${points} painted=${painted} view=${view} onView=${setView}
        selecting=${query.get('mode') === 'select'} polygon=${polygon} onSelect=${select} patches=${patches}
        label=${`Atlas of ${layer}: ${many(points.count, 'point')}. Arrow keys move it, plus and minus zoom.`} />
      <${Legend} named=${named} by=${by} about=${about} index=${index} layer=${layer} /></section>
    <aside class="split-side" aria-live="polite"><${Selected} index=${index} layer=${layer} about=${about} polygon=${polygon} /></aside></div>`;
}

function parsePolygon(text) {
  if (!text) return null;
  const found = text.split(';').map((corner) => corner.split(',').map(Number));
  return found.length > 2 && found.every((corner) => corner.length === 2 && corner.every(Number.isFinite)) ? found : null;
}

const Legend = ({ named, by, about, index, layer }) => html`<ul class="legend" aria-label="Colours">${named.map(([code, points], i) => html`<li key=${code}>
  <span class="swatch" style=${{ background: `rgb(${PALETTE[i].join(',')})` }}></span>${by === 'class'
    ? html`<a href=${to.class(index, about.classes[code])}>${about.classes[code]}</a>` : html`<a href=${to.neuron(index, layer, code)}>neuron ${code}</a>`}
  ${' '}<small>${count(points)}</small></li>`)}<li><span class="swatch" style=${{ background: `rgb(${GREY.join(',')})` }}></span>others</li></ul>`;

/** What tells the points within the polygon from the others. */
function Selected({ index, layer, about, polygon }) {
  const found = useAnswer(polygon && (() => postJson(about.links.selection, { polygon, limit: SHOWN })), [JSON.stringify(polygon)]);
  if (!polygon) return html`<${Empty} title="Nothing selected"><p>Draw around some points: which neurons fire there more than elsewhere?</p></${Empty}>`;
  if (found.error) return html`<${Failure} error=${found.error} retry=${found.retry} />`;
  if (!found.data) return html`<${Loading} what="Comparing" />`;
  const { points, images, classes, inside, outside, neurons, direction } = found.data;
  return html`<h2>${many(points, 'cell')} of ${many(images, 'image')}</h2>
    <p>${classes.slice(0, 5).map(({ class: name, points: own }) => `${name ?? 'no class'} ${percent(own / points)}`).join(' · ')}</p>
    <p class="quiet words">${`Neurons that fire more here: the mean of ${count(inside)} of these cells less that of ${count(outside)} others, by lot, in standard deviations.`}</p>
    <ul class="alike">${neurons.map((one) => html`<li key=${one.neuron}>
      <${Tiles} src=${tilesOf(index, layer, one.neuron)} layer=${layer} neuron=${one.neuron} columns=${2} rows=${2} link=${to.neuron(index, layer, one.neuron)} />
      <p class="card-line"><b>${one.neuron}</b><span class="card-value">${number(one.difference)} σ</span></p><${Category} of=${one} /></li>`)}</ul>
    <${Direction} index=${index} layer=${layer} weights=${direction} />`;
}
