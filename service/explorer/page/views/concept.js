/** Which neurons know this? What is meant is shown by some images, or by a part of one. */

import { postJson, withQuery } from '../lib/api.js';
import { many, number } from '../lib/format.js';
import { useAnswer, useJson, useList } from '../lib/hooks.js';
import { api, tellingLayer, tilesOf, to } from '../lib/names.js';
import { change } from '../lib/route.js';
import { Choice } from '../parts/controls.js';
import { html, useState } from '../parts/html.js';
import { Category, Tiles } from '../parts/neuron-card.js';
import { Picture } from '../parts/picture.js';
import { Stage } from '../parts/stage.js';
import { Empty, Failure, Loading, More } from '../parts/states.js';

const PAGE = 24;
const SHOWN = 12;
const SIDES = ['left', 'top', 'right', 'bottom'];

export function ConceptView({ index, query }) {
  const about = useJson(api.index(index));
  if (about.error) return html`<${Failure} error=${about.error} retry=${about.retry} />`;
  if (!about.data) return html`<${Loading} what="Opening the index" />`;
  const layer = query.get('layer') ?? tellingLayer(about.data.layers);
  const chosen = (query.get('images') ?? '').split(',').filter(Boolean).map(Number).filter(Number.isInteger);
  const image = query.get('image');
  const box = boxOf(query);
  const asked = image !== null ? box && { layer, image: Number(image), box, limit: SHOWN } : chosen.length ? { layer, images: chosen, limit: SHOWN } : null;
  return html`<header class="title"><h1>Which neurons know this?</h1><p>${image === null
      ? 'Choose images that have something in common.' : 'Click two corners of a part of the image.'}</p></header>
    <div class="controls"><${Choice} label="Layer" value=${layer} options=${about.data.layers.map((one) => [one.layer, one.layer])}
      onChange=${(value) => change({ layer: value })} />
      ${(chosen.length > 0 || box) && html`<button class="button" onClick=${() => change({ images: null, box: null })}>Clear</button>`}
      ${image !== null && html`<a class="button" href=${to.concept(index, { layer })}>By whole images</a>`}</div>
    <div class="split">
      <section class="split-main" aria-label="What is meant">${image === null ? html`<${ByImages} index=${index} chosen=${chosen} query=${query} />`
        : html`<${ByPart} index=${index} image=${image} box=${box} />`}</section>
      <section class="split-side" aria-label="Neurons that know it" aria-live="polite"><${Known} index=${index} layer=${layer} asked=${asked} /></section>
    </div>`;
}

function boxOf(query) {
  const edges = (query.get('box') ?? '').split(',').map(Number);
  return edges.length === 4 && edges.every(Number.isInteger) ? Object.fromEntries(SIDES.map((side, i) => [side, edges[i]])) : null;
}

function ByImages({ index, chosen, query }) {
  const depth = Math.max(PAGE, Number(query.get('depth')) || PAGE);
  const list = useList(api.images(index), PAGE, depth);
  const toggle = (id) => change({ images: (chosen.includes(id) ? chosen.filter((one) => one !== id) : [...chosen, id]).join(',') || null }, { replace: true });
  return html`<p class="quiet" role="status">${many(chosen.length, 'image')} chosen.</p>
    <ul class="patches patches-small">${list.items.map((image) => html`<li class="patch" key=${image.image}><figure>
      <${Picture} src=${withQuery(image.links.picture, { size: 160 })} alt=${image.path}
        to=${to.concept(index, { image: image.image, layer: query.get('layer') })} />
      <figcaption><label class="choice-check"><input type="checkbox" checked=${chosen.includes(image.image)} onChange=${() => toggle(image.image)} />${' '}
        <span class="patch-class" title=${image.path}>${image.class ?? 'no class'}</span></label></figcaption></figure></li>`)}</ul>
    <${More} list=${list} shown=${list.items.length} what="images" onMore=${() => change({ depth: depth + 2 * PAGE }, { replace: true })} />`;
}

function ByPart({ index, image, box }) {
  const { data, error, retry } = useJson(api.image(index, image));
  const [corner, setCorner] = useState(null);
  if (error) return html`<${Failure} error=${error} retry=${retry} />`;
  if (!data) return html`<${Loading} what="Fetching the image" />`;
  const point = ({ x, y }) => {
    if (!corner) {
      setCorner({ x, y });
      change({ box: null }, { replace: true });
      return;
    }
    const [left, right] = [Math.floor(Math.min(corner.x, x)), Math.ceil(Math.max(corner.x, x))];
    const [top, bottom] = [Math.floor(Math.min(corner.y, y)), Math.ceil(Math.max(corner.y, y))];
    setCorner(null);
    change({ box: [left, top, Math.max(right, left + 1), Math.max(bottom, top + 1)].join(',') });
  };
  const shown = { width: data.width, height: data.height, src: data.links.picture, alt: `Image ${data.image}` };
  return html`<${Stage} image=${shown} heat=${null} boxes=${box ? [box] : []} point=${corner} onPoint=${point} />
    <p class="quiet stage-note" role="status">${corner ? 'Now the opposite corner.' : box ? 'Click again for another part.' : ''}</p>`;
}

function Known({ index, layer, asked }) {
  const found = useAnswer(asked && (() => postJson(api.concept(index), asked)), [JSON.stringify(asked)]);
  if (!asked) return html`<${Empty} title="Nothing chosen yet"><p>The neurons of ${layer} that fire more for it than for all else appear here.</p></${Empty}>`;
  if (found.error) return html`<${Failure} error=${found.error} retry=${found.retry} />`;
  if (!found.data) return html`<${Loading} what="Comparing" />`;
  return html`<p class="quiet">${`By how well they tell ${many(found.data.inside, found.data.compared === 'cells' ? 'cell' : 'image')} from ${many(found.data.outside,
      found.data.compared === 'cells' ? 'other cell' : 'other image')} (AUC).`}</p>
    <ul class="alike">${found.data.items.map((one) => html`<li key=${one.neuron}>
      <${Tiles} src=${tilesOf(index, layer, one.neuron)} layer=${layer} neuron=${one.neuron} columns=${2} rows=${2} link=${to.neuron(index, layer, one.neuron)} />
      <p class="card-line"><b>${one.neuron}</b><span class="card-value">AUC ${number(one.auc)}</span></p><${Category} of=${one} /></li>`)}</ul>`;
}
