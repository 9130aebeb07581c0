/** The scores of a neuron, and the groups into which its top patches fall, as rows. */

import { many, number } from '../lib/format.js';
import { useJson } from '../lib/hooks.js';
import { withQuery } from '../lib/api.js';
import { to } from '../lib/names.js';
import { html } from './html.js';
import { describe } from './patch-card.js';
import { Picture } from './picture.js';
import { Failure, Loading } from './states.js';

const SIZE = 128;

/** How clear, how mixed and how redundant a neuron is; nothing where its layer has no scores. */
export function ScoreFacts({ index, data, scores }) {
  if (!scores) return null;
  return html`<section aria-label="Scores"><h2>Scores</h2><dl class="facts">
    <div><dt title="Mean cosine of two of its top patches">clarity</dt><dd>${number(data.clarity)}</dd></div>
    <div><dt title="How far two groups of its top patches lie apart">polysemanticity</dt><dd>${number(data.polysemanticity)}</dd></div>
    <div><dt title="Cosine with the nearest neuron">redundancy</dt><dd>${number(data.redundancy)}${data.nearest !== null && html` <a
      href=${to.neuron(index, data.layer, data.nearest)}>${data.nearest}</a>`}</dd></div>
  </dl><p class="quiet">${basis(scores)} Two patches of different neurons: ${number(scores.between)}.</p></section>`;
}

const POOLS = { box: ', each the mean over its receptive field', image: ', each the mean over its whole image', crop: '' };

const basis = ({ by, patches, pool, encoder }) => `Cosines of ${patches} top patches in the vectors of ${by}${POOLS[pool]}.${asMade(encoder)}`;

/** When scores by an encoder were made, as they stay the same when images come and go; '' of others. */
export const asMade = (encoder) => (encoder ? ` Made of generation ${encoder.generation}, ${many(encoder.images, 'image')}`
  + `${encoder.lost ? `, without ${many(encoder.lost, 'patch', 'patches')} whose originals were not there` : ''}.` : '');

/** The groups, one row each. */
export function Groups({ index, url }) {
  const { data, error, retry } = useJson(url);
  if (error) return html`<${Failure} error=${error} retry=${retry} />`;
  if (!data) return html`<${Loading} what="Fetching the groups" />`;
  if (!data.groups.length) return null;
  return html`<section aria-label="Groups of its patches"><h2>Groups of its top patches</h2>
    ${data.groups.map((group, i) => html`<div key=${i} role="group" aria-label=${`Group ${i + 1}`}>
      <p class="quiet">${many(group.patches.length, 'patch', 'patches')}${group.clarity !== null && ` · clarity ${number(group.clarity)}`}</p>
      <ul class="patches patches-small">${group.patches.map((patch) => html`<li class="patch" key=${patch.image}>
        <${Picture} src=${withQuery(patch.links.patch, { size: SIZE })} alt=${describe(patch)} fit="cover" ratio=${1}
          to=${to.image(index, patch.image, {
            layer: patch.layer, neuron: patch.neuron, cell: `${patch.cell.y},${patch.cell.x}`, box: Object.values(patch.box).join(),
          })} /></li>`)}</ul></div>`)}
    <p class="quiet">By k-means in the vectors of ${data.scores.by}; polysemanticity says how far the groups lie apart.</p></section>`;
}
