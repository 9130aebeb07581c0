/** A layer's atlas: cells that mean the same to the network lie together. */

import { getBlob, postJson } from '../lib/api.js';
import { count, many, number, percent } from '../lib/format.js';
import { useAnswer, useJson } from '../lib/hooks.js';
import { api, tilesOf, to } from '../lib/names.js';
import { change } from '../lib/route.js';
import { AtlasCanvas } from '../parts/atlas-canvas.js';
import { AtlasControls, AtlasTitle, Legend, NoAtlas, usePainted, usePolygon, useView } from '../parts/atlas-frame.js';
import { classOf, neuronOf, parsePoints } from '../parts/atlas-points.js';
import { Direction } from '../parts/direction.js';
import { Choice } from '../parts/controls.js';
import { html } from '../parts/html.js';
import { Category, Tiles } from '../parts/neuron-card.js';
import { Empty, Failure, Loading } from '../parts/states.js';

const SHOWN = 8;

export function AtlasView({ index, layer, query }) {
  const about = useJson(api.atlas(index, layer));
  const points = useAnswer(about.data && (() => getBlob(about.data.links.points).then((blob) => blob.arrayBuffer()).then(parsePoints)), [about.data]);
  if (about.error) return html`<${NoAtlas} index=${index} layer=${layer} of="cells" error=${about.error} retry=${about.retry} />`;
  if (points.error) return html`<${Failure} error=${points.error} retry=${points.retry} />`;
  if (!about.data || !points.data) return html`<${Loading} what="Fetching the atlas" />`;
  return html`<${AtlasTitle} index=${index} layer=${layer} of="cells"><p>${madeOf(about.data)}</p></${AtlasTitle}>
    <${Shown} index=${index} layer=${layer} about=${about.data} points=${points.data} query=${query} />`;
}

const madeOf = (atlas) => `${many(atlas.points, 'cell')} of ${many(atlas.images, 'image')}; alike ones lie together. Of the ${atlas.neighbours} nearest `
  + `neighbours of a cell it keeps ${percent(atlas.kept)}, two principal components ${percent(atlas.kept_by_two_components)} (sampled on ${count(atlas.sampled)}).`;

function Shown({ index, layer, about, points, query }) {
  const by = query.get('colour') === 'neuron' ? 'neuron' : 'class';
  const { named, painted } = usePainted(points, by === 'class' ? classOf : neuronOf);
  const [view, setView] = useView(query);
  const [polygon, select] = usePolygon(query);
  const thumbnail = ({ image, path, cell }) => ({ link: to.image(index, image, { layer }), alt: `${path} at ${cell.y},${cell.x}` });
  const wordsOf = (code) => (by === 'class' ? html`<a href=${to.class(index, about.classes[code])}>${about.classes[code]}</a>`
    : html`<a href=${to.neuron(index, layer, code)}>neuron ${code}</a>`);
  return html`<${AtlasControls} query=${query} view=${view} setView=${setView} polygon=${polygon} select=${select}>
      <${Choice} label="Colour" value=${by} options=${[['class', 'class'], ['neuron', 'strongest neuron']]}
        onChange=${(value) => change({ colour: value === 'class' ? null : value })} /></${AtlasControls}>
    <div class="split"><section class="split-main" aria-label="Atlas">
      <${AtlasCanvas} points=${points} painted=${painted} view=${view} onView=${setView}
        selecting=${query.get('mode') === 'select'} polygon=${polygon} onSelect=${select}
        patches=${query.get('patches') === 'off' ? null : { url: about.links.patches, thumbnail }}
        label=${`Atlas of ${layer}: ${many(points.count, 'point')}. Arrow keys move it, plus and minus zoom.`} />
      <${Legend} named=${named} wordsOf=${wordsOf} /></section>
    <aside class="split-side" aria-live="polite"><${Selected} index=${index} layer=${layer} about=${about} polygon=${polygon} /></aside></div>`;
}

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
