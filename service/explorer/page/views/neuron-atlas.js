/** The atlas of a layer's neurons: those that fire for the same things lie together. */

import { getBlob, postJson } from '../lib/api.js';
import { count, many, percent } from '../lib/format.js';
import { useAnswer, useJson } from '../lib/hooks.js';
import { api, tilesOf, to } from '../lib/names.js';
import { go } from '../lib/route.js';
import { AtlasCanvas } from '../parts/atlas-canvas.js';
import { AtlasControls, AtlasTitle, Legend, NoAtlas, usePainted, usePolygon, useView } from '../parts/atlas-frame.js';
import { classOf, neuronOf, parsePoints } from '../parts/atlas-points.js';
import { html } from '../parts/html.js';
import { Tiles } from '../parts/neuron-card.js';
import { Bare } from '../parts/picture.js';
import { Empty, Failure, Loading } from '../parts/states.js';

const LISTED = 48;

export function NeuronAtlasView({ index, layer, query }) {
  const about = useJson(api.neuronAtlas(index, layer));
  const points = useAnswer(about.data && (() => getBlob(about.data.links.points).then((blob) => blob.arrayBuffer()).then(parsePoints)), [about.data]);
  if (about.error) return html`<${NoAtlas} index=${index} layer=${layer} of="neurons" error=${about.error} retry=${about.retry} />`;
  if (points.error) return html`<${Failure} error=${points.error} retry=${points.retry} />`;
  if (!about.data || !points.data) return html`<${Loading} what="Fetching the atlas" />`;
  return html`<${AtlasTitle} index=${index} layer=${layer} of="neurons"><p>${madeOf(about.data)}</p></${AtlasTitle}>
    <${Shown} index=${index} layer=${layer} about=${about.data} points=${points.data} query=${query} />`;
}

function madeOf({ points, left_out: out, made_of: made, neighbours, kept, kept_by_two_components: byTwo, sampled }) {
  const over = made.over < made.images ? `${count(made.over)} of ${many(made.images, 'image')}, by lot` : many(made.images, 'image');
  const without = out ? ` ${count(out)} without a place, with the same peak on all images.` : '';
  const how = sampled < points ? `sampled on ${count(sampled)}` : 'measured on all';
  return `${many(points, 'neuron')}; those lie together whose peaks are high on the same images (correlation over ${over}, generation `
    + `${made.generation}).${without} Of the ${neighbours} nearest neighbours of a neuron it keeps ${percent(kept)}, two principal components `
    + `${percent(byTwo)} (${how}). Colours are the classes that neurons tell best.`;
}

function Shown({ index, layer, about, points, query }) {
  const { named, painted } = usePainted(points, classOf);
  const [view, setView] = useView(query);
  const [polygon, select] = usePolygon(query);
  const hovered = (i) => {
    const neuron = neuronOf(points, i);
    return html`<${Bare} src=${tilesOf(index, layer, neuron)} alt="" /><p>${`neuron ${neuron}`}</p>`;
  };
  return html`<${AtlasControls} query=${query} view=${view} setView=${setView} polygon=${polygon} select=${select} />
    <div class="split"><section class="split-main" aria-label="Atlas">
      <${AtlasCanvas} points=${points} painted=${painted} view=${view} onView=${setView}
        selecting=${query.get('mode') === 'select'} polygon=${polygon} onSelect=${select}
        patches=${query.get('patches') === 'off' ? null : { url: about.links.patches, thumbnail: thumbnailIn(index, layer) }}
        hovered=${hovered} onPick=${(i) => go(to.neuron(index, layer, neuronOf(points, i)))}
        label=${`Atlas of the neurons of ${layer}: ${many(points.count, 'point')}. Arrow keys move it, plus and minus zoom.`} />
      <${Legend} named=${named} wordsOf=${(code) => html`<a href=${to.class(index, about.classes[code])}>${about.classes[code]}</a>`} />
    </section>
    <aside class="split-side" aria-live="polite"><${Selected} index=${index} layer=${layer} about=${about} polygon=${polygon} /></aside></div>`;
}

const thumbnailIn = (index, layer) => ({ neuron, name, path }) => ({
  link: to.neuron(index, layer, neuron), alt: `neuron ${neuron}${name ? `, ${name}` : ''}: its top patch, of ${path}`,
});

/** The neurons within the polygon. */
function Selected({ index, layer, about, polygon }) {
  const found = useAnswer(polygon && (() => postJson(about.links.selection, { polygon, limit: LISTED })), [JSON.stringify(polygon)]);
  if (!polygon) return html`<${Empty} title="Nothing selected"><p>Draw around some points to list their neurons.</p></${Empty}>`;
  if (found.error) return html`<${Failure} error=${found.error} retry=${found.retry} />`;
  if (!found.data) return html`<${Loading} what="Listing" />`;
  const { total, classes, neurons } = found.data;
  if (!total) return html`<${Empty} title="No neuron lies there"><p>Draw around some points.</p></${Empty}>`;
  return html`<h2>${many(total, 'neuron')}</h2>
    <p>${classes.slice(0, 5).map(({ class: name, neurons: own }) => `${name ?? 'no class'} ${percent(own / total)}`).join(' · ')}</p>
    ${neurons.length < total && html`<p class="quiet">The first ${count(neurons.length)} by number.</p>`}
    <ul class="alike">${neurons.map((one) => html`<li key=${one.neuron}>
      <${Tiles} src=${tilesOf(index, layer, one.neuron)} layer=${layer} neuron=${one.neuron} columns=${2} rows=${2} link=${to.neuron(index, layer, one.neuron)} />
      <p class="card-line"><b>${one.name ?? one.neuron}</b><span class="card-value">${one.best_class ?? ''}</span></p></li>`)}</ul>`;
}
