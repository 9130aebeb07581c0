/** A small card of a neuron: its top patches and a line about it. */

import { to } from '../lib/names.js';
import { withQuery } from '../lib/api.js';
import { html } from './html.js';
import { Picture } from './picture.js';

const TILE = devicePixelRatio > 1.3 ? 96 : 64;

/** The tiles of a neuron, `columns` by `rows`. */
export function Tiles({ src, layer, neuron, columns = 3, rows = 3, link = null }) {
  return html`<div class="tiles" style=${{ '--columns': columns, '--rows': rows }}><${Picture} ratio=${columns / rows} to=${link}
    src=${withQuery(src, { columns, rows, size: TILE })} fit="cover" alt=${`Top patches of neuron ${neuron} of ${layer}`} /></div>`;
}

/** Takes the place of the tiles of a dead neuron. */
export const DeadTiles = ({ link }) => html`<a class="card-dead" href=${link}><span>dead</span>
  <small>positive on no image</small></a>`;

/** What people call a neuron, or what it stands for as one of the output layer; null where it has neither. */
export const called = ({ name, category }) => name ?? category ?? null;

/** That, below a card; a name that people gave stands out. */
export const Category = ({ of: one }) => called(one) && html`<p class="card-class" data-named=${one.name ? '' : null}
  title=${[one.name, one.category].filter(Boolean).join(' · ')}>${called(one)}</p>`;

export const State = ({ state }) => html`<span class="state-chip" data-state=${state}>${state}</span>`;

/** A card of the wall; `value` is the statistic that the wall is sorted by, in words. */
export function NeuronCard({ index, neuron, value }) {
  const link = to.neuron(index, neuron.layer, neuron.neuron);
  return html`<article class="card">
    ${neuron.dead
      ? html`<${DeadTiles} link=${link} />`
      : html`<${Tiles} src=${neuron.links.tiles} layer=${neuron.layer} neuron=${neuron.neuron} link=${link} />`}
    <p class="card-line"><b>${neuron.neuron}</b><${State} state=${neuron.state} />
      <span class="card-value">${value}</span></p>
    ${called(neuron) ? html`<${Category} of=${neuron} />` : html`<p class="card-class">${neuron.best_class ?? ' '}</p>`}
  </article>`;
}

export const CardWaiting = () => html`<article class="card" aria-busy="true"><div class="picture" data-is="loading"
  style=${{ aspectRatio: '1' }}></div></article>`;
