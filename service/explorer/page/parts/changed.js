/** What a job has made of an image, indexed or uploaded: before and after, and what there is to say of it. */

import { number } from '../lib/format.js';
import { api, to } from '../lib/names.js';
import { BeforeAfter } from './before-after.js';
import { FooledFigures, FooledWords } from './fooled.js';
import { html } from './html.js';
import { EndButton, Followed } from './job.js';
import { Picture } from './picture.js';

const TITLES = { fool: 'Fooled', dream: 'A dream', art: 'Painted' };

/** `onClose` is called when the reader has seen enough, and when an upload is deleted. */
export function Changed({ index, id, onClose }) {
  const show = (data, job) => html`<${Shown} index=${index} data=${data} job=${job} onClose=${onClose} />`;
  return html`<section class="changed" aria-label="Changed image">
    <h2>Changed image <button class="button small" onClick=${onClose}>Close</button></h2>
    <${Followed} url=${api.job(id)} show=${show} /></section>`;
}

function Shown({ index, data, job, onClose }) {
  const use = data.kind.replace('upload-', '');
  const { words: Words, figures: Figures } = PARTS[use];
  return html`<h3>${TITLES[use]} ${job.expires && html`<${EndButton} job=${job} label="image and result" onEnd=${onClose} />`}</h3>
    ${job.expires && html`<p class="quiet">The service keeps the image and this result until ${new Date(job.expires).toLocaleTimeString()}, for you alone.</p>`}
    <${Words} index=${index} data=${data} />
    <${BeforeAfter} before=${data.links.before} after=${data.links.after} />
    <${Figures} index=${index} data=${data} />`;
}

const DreamWords = ({ index, data: { recipe } }) => html`<p>${recipe.neurons === null ? 'All' : recipe.neurons.length > 1 ? 'Neurons' : 'Neuron'}
  ${' '}${(recipe.neurons ?? []).map((neuron, i) => html`${i > 0 && ', '}<a key=${neuron} href=${to.neuron(index, recipe.layer, neuron)}>${neuron}</a>`)} of
  ${' '}<a href=${to.layer(index, recipe.layer)}>${recipe.layer}</a>, amplified.</p>`;

const DreamFigures = ({ data: { recipe } }) => html`<p class="quiet">${recipe.octaves} octaves of ${recipe.steps} steps, seed ${recipe.seed}.</p>`;

const ArtWords = ({ data }) => html`<div class="styled"><p>In the style of</p><${Picture} src=${data.links.style} alt="The image whose style it got" /></div>`;

const ArtFigures = ({ data }) => html`<p class="quiet">Distance from the style ${number(data.style_before)} before, ${number(data.style)} after;
  from the content ${number(data.content)}, where the style image’s own is ${number(data.content_of_style)}. Content at ${data.recipe.content_layer},
  style at ${data.recipe.style_layers.join(', ')}; ${data.recipe.steps} steps.</p>`;

const PARTS = {
  fool: { words: FooledWords, figures: FooledFigures },
  dream: { words: DreamWords, figures: DreamFigures },
  art: { words: ArtWords, figures: ArtFigures },
};
