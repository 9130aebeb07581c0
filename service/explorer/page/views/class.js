/** What a layer knows about one class. */

import { many } from '../lib/format.js';
import { useJson, useList } from '../lib/hooks.js';
import { withQuery } from '../lib/api.js';
import { api, tellingLayer, to } from '../lib/names.js';
import { change } from '../lib/route.js';
import { Bars } from '../parts/charts.js';
import { Choice } from '../parts/controls.js';
import { html } from '../parts/html.js';
import { Note } from '../parts/note.js';
import { Neurons } from '../parts/pair.js';
import { Failure, Loading } from '../parts/states.js';
import { ImageCard } from './images.js';

const SHOWN = 8;

export function ClassView({ index, name, query }) {
  const about = useJson(api.index(index));
  const layer = query.get('layer') ?? (about.data ? tellingLayer(about.data.layers) : null);
  const known = useJson(layer === null ? null : withQuery(api.layerClass(index, layer, name), { limit: 12 }));
  const images = useList(withQuery(api.images(index), { class: name }), SHOWN, SHOWN);
  if (about.error) return html`<${Failure} error=${about.error} retry=${about.retry} />`;
  if (!about.data) return html`<${Loading} what="Opening the index" />`;
  return html`
    <header class="title"><h1>${name}</h1><p>${images.total === null ? '' : many(images.total, 'image')}</p></header>
    <div class="controls"><${Choice} label="Layer" value=${layer} options=${about.data.layers.map((one) => [one.layer, one.layer])}
      onChange=${(value) => change({ layer: value })} /></div>
    <div class="split">
      <section class="split-main" aria-label="Neurons and images">
        <h2>Neurons of ${layer} that know it</h2>
        ${known.error ? html`<${Failure} error=${known.error} retry=${known.retry} />` : ''}
        ${known.data ? html`<${Neurons} index=${index} layer=${layer} items=${known.data.neurons} words=${(one) => `AUC ${one.auc.toFixed(3)}`} />`
          : known.loading && html`<${Loading} />`}
        <h2><a href=${to.images(index, { class: name })}>Its images</a></h2>
        <ul class="patches patches-small">${images.items.map((image) => html`<${ImageCard} key=${image.image} index=${index} image=${image} />`)}</ul>
      </section>
      <aside class="split-side"><${Note} index=${index} about=${{ class: name }} /><h2>Similar classes</h2>
        ${known.data && html`<${Bars} label="Likeness to other classes" rows=${known.data.like.slice(0, 12).map((one) => ({
          key: one.class, label: one.class, value: Math.max(0, one.likeness), text: one.likeness.toFixed(2),
          link: to.classes(index, { layer, a: name, b: one.class }),
        }))} /><p class="quiet">Cosine of profiles in ${layer}.</p>`}</aside>
    </div>`;
}
