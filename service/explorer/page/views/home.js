/** All indexes. If there is only one, it is shown at once. */

import { count, many } from '../lib/format.js';
import { useJson } from '../lib/hooks.js';
import { api, to } from '../lib/names.js';
import { go } from '../lib/route.js';
import { html, useEffect } from '../parts/html.js';
import { Empty, Failure, Loading } from '../parts/states.js';

export function HomeView() {
  const { data, error, retry } = useJson(api.indexes());
  const only = data?.items.length === 1 && data.items[0].ready ? data.items[0] : null;
  useEffect(() => { if (only) go(to.index(only.name), { replace: true }); }, [only]);
  if (error) return html`<${Failure} error=${error} retry=${retry} />`;
  if (!data || only) return html`<${Loading} what="Looking for indexes" />`;
  if (!data.items.length) return html`<${NoIndex} />`;
  return html`<h1>Indexes</h1><ul class="plain-cards">${data.items.map((item) => html`<${Card} key=${item.name} item=${item} />`)}</ul>`;
}

const Card = ({ item }) => html`<li class="plain-card">
  ${item.ready
    ? html`<h2><a href=${to.index(item.name)}>${item.name}</a></h2>
      <p>${many(item.images, 'image')} · ${many(item.layers, 'layer')} · ${many(item.classes, 'class', 'classes')}</p>
      <p class="quiet">generation ${count(item.generation)}</p>`
    : html`<h2>${item.name}</h2><p class="warning">This index cannot answer: ${item.detail}</p>`}
</li>`;

const NoIndex = () => html`<${Empty} title="No index yet">
  <p>An index holds what a network did on a set of images. Make one, and it appears here:</p>
  <pre><code>python -m indexer build IMAGES --model resnet18 --weights DEFAULT --out INDEX</code></pre></${Empty}>`;
