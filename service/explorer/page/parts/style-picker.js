/** One of the index's images, chosen by its picture. */

import { fileName } from '../lib/format.js';
import { useJson } from '../lib/hooks.js';
import { withQuery } from '../lib/api.js';
import { api } from '../lib/names.js';
import { html, useState } from './html.js';
import { Bare } from './picture.js';
import { Failure, Loading } from './states.js';

const PAGE = 12;
const SIZE = 128;

export function StylePicker({ index, label, value, onChange }) {
  const [offset, setOffset] = useState(0);
  const { data, error, retry } = useJson(withQuery(api.images(index), { limit: PAGE, offset }));
  if (error) return html`<${Failure} error=${error} retry=${retry} />`;
  if (!data) return html`<${Loading} />`;
  const next = offset + PAGE < data.total ? offset + PAGE : 0;
  return html`<fieldset class="pick"><legend>${label}</legend>
    <div>${data.items.map((one) => html`<${Option} key=${one.image} image=${one} checked=${one.image === value} onChange=${onChange} />`)}</div>
    ${data.total > PAGE && html`<button type="button" class="button small" onClick=${() => setOffset(next)}>Other images</button>`}</fieldset>`;
}

function Option({ image, checked, onChange }) {
  return html`<label><input type="radio" name="pick" checked=${checked} onChange=${() => onChange(image.image)}
    aria-label=${`Image ${image.image}, ${fileName(image.path)}`} /><${Bare} src=${withQuery(image.links.picture, { size: SIZE })} alt=""
      loading="lazy" /></label>`;
}
