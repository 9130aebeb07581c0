/** A direction of activations: the patches along it, and a name for it. */

import { getFresh, postJson, write } from '../lib/api.js';
import { number } from '../lib/format.js';
import { useAnswer } from '../lib/hooks.js';
import { api, to } from '../lib/names.js';
import { html, useState } from './html.js';
import { Picture } from './picture.js';
import { Failure } from './states.js';
import { say } from './toast.js';

const SHOWN = 6;

export function Direction({ index, layer, weights }) {
  if (!Object.keys(weights).length) return null;
  return html`<h2>As a direction</h2><${Along} index=${index} layer=${layer} weights=${weights} />
    <${Keep} index=${index} layer=${layer} weights=${weights} />`;
}

function Along({ index, layer, weights }) {
  const asked = { layer, weights, limit: SHOWN };
  const found = useAnswer(() => postJson(api.search(index), asked), [JSON.stringify(asked)]);
  if (found.error) return html`<${Failure} error=${found.error} retry=${found.retry} />`;
  return html`<ul class="alike" aria-label="Patches along it">${(found.data?.items ?? []).map((patch) => html`<li key=${patch.links.patch}>
    <${Picture} src=${patch.links.patch} alt=${patch.path} to=${to.image(index, patch.image, { layer })} />
    <p class="card-line"><span class="card-value">${number(patch.score)}</span></p></li>`)}</ul>`;
}

/** Keep the direction under a name, among the notes. */
function Keep({ index, layer, weights }) {
  const [name, setName] = useState('');
  const [problem, setProblem] = useState(null);
  const keep = async (event) => {
    event.preventDefault();
    try {
      const kept = await postJson(api.directions(index), { layer, weights });
      const note = await getFresh(kept.links.self);
      await write('PUT', note.links.self, { name, text: note.text, tags: note.tags }, note.revision);
      setProblem(null);
      say(`Kept as ${name}; / finds it.`);
    } catch (error) {
      setProblem(error);
    }
  };
  return html`<form class="note-actions" onSubmit=${keep}>
    <input aria-label="Name of the direction" placeholder="Name" required maxlength="200" value=${name} onInput=${(event) => setName(event.target.value)} />
    <button class="button small">Keep</button></form>
    ${problem && html`<${Failure} error=${problem} />`}`;
}
