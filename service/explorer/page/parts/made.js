/** The image made for a neuron: what it would like to see, and how far to trust that. */

import { number } from '../lib/format.js';
import { useFresh, useStart } from '../lib/jobs.js';
import { api } from '../lib/names.js';
import { html, useState } from './html.js';
import { Followed } from './job.js';
import { Picture } from './picture.js';
import { Failure, Loading } from './states.js';

export function Made({ index, layer, neuron }) {
  const [id, setId] = useState(null);
  const { start, problem, busy } = useStart();
  const make = () => start(api.make(index), { use: 'optimal', layer, neurons: [neuron] }, (begun) => setId(begun.job));
  if (problem) return html`<${Failure} error=${problem} />`;
  if (id) return html`<${Making} id=${id} />`;
  return html`<${Kept} url=${api.optimal(index, layer, neuron)} make=${make} busy=${busy} />`;
}

function Kept({ url, make, busy }) {
  const { data, error, again } = useFresh(url, () => true);
  if (error) return html`<${Failure} error=${error} retry=${again} />`;
  if (!data) return html`<${Loading} />`;
  if (data.recipe) return html`<${Shown} about=${data} />`;
  return html`<p class="quiet">An image can be made that drives this neuron as far as it goes. That takes a minute or so.</p>
    <button class="button" onClick=${make} disabled=${busy}>Make it</button>`;
}

function Making({ id }) {
  const show = ({ images: [made] }) => (made ? html`<${Shown} about=${made} />`
    : html`<p class="quiet">Nothing moves this neuron: no gradient comes back to the image.</p>`);
  return html`<${Followed} url=${api.job(id)} show=${show} />`;
}

function Shown({ about }) {
  const { trust, recipe } = about;
  return html`<figure class="made"><${Picture} src=${about.links.picture} alt=${`Image made for neuron ${recipe.neuron}`} />
      <figcaption>Made for the neuron, not a photograph.</figcaption></figure>
    <dl class="facts">
      <div><dt title="Its peak here over that on the highest image of the index">over the highest image</dt><dd>${times(trust.ratio)}</dd></div>
      <div><dt title=${`Mean of ${trust.views} views, moved, turned and scaled`}>on fresh views</dt><dd>${times(trust.transformed_ratio)}</dd></div>
    </dl>
    ${trust.earlier.length > 0 && html`<p class="quiet">${trust.earlier.map((one) => html`<span key=${one.layer}>At ${one.layer} it is
      farther from the mean image than ${one.farther_than === 100 ? `all ${one.photographs} images` : `${number(one.farther_than)} % of ${one.photographs} images`}; ${number(one.beyond)} % of the
      neurons there are beyond all of them. </span>`)}</p>`}
    <p class="quiet">${recipe.way}, ${recipe.steps} steps, seed ${recipe.seed}.</p>`;
}

const times = (ratio) => (ratio === null ? '–' : `${number(ratio)} ×`);
